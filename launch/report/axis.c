#include "launch/report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WANTED = 5, DECADES = 7, OCTAVES = 9 };

double lk_axis_place(const lk_axis *axis, double value)
{
    double share = axis->base
                       ? log(value / axis->low) / log(axis->high / axis->low)
                       : (value / 2 - axis->low / 2) / (axis->high / 2 - axis->low / 2); /* halves: the span may overflow */
    return axis->from + share * (axis->to - axis->from);
}

/* "1e+05" -> "1e5", "2e-04" -> "2e-4" */
static void shorten_exponent(char *text)
{
    char *e = strchr(text, 'e');
    if (!e)
        return;
    char *digits = e + 2, *to = e[1] == '-' ? e + 2 : e + 1;
    while (*digits == '0' && digits[1])
        digits++;
    memmove(to, digits, strlen(digits) + 1);
}

/* Labels of one linear axis are alike: the same unit, the same digits behind the point. */
static void label_linear(char *out, size_t size, double value, double step, double largest)
{
    static const struct {
        double above, unit;
        const char *sign;
    } units[] = {{1e15, 0, ""}, {1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e4, 1e3, "k"}, {1e-3, 1, ""}, {0, 0, ""}};
    size_t i = 0;
    while (largest < units[i].above)
        i++;
    if (units[i].unit == 0 && value != 0) {
        double behind = floor(log10(fabs(value)) + 1e-9) - floor(log10(step) + 1e-9);
        int digits = (int)fmin(fmax(behind, 0), 15);
        snprintf(out, size, "%.*e", digits, value);
        shorten_exponent(out);
        return;
    }
    double unit = units[i].unit > 0 ? units[i].unit : 1;
    int digits = value == 0 ? 0 : (int)fmin(fmax(-floor(log10(step / unit) + 1e-9), 0), 15);
    snprintf(out, size, "%.*f%s", digits, value / unit, value == 0 ? "" : units[i].sign);
}

static size_t linear_ticks(const lk_axis *axis, lk_tick *ticks)
{
    double rough = axis->high / WANTED - axis->low / WANTED;
    double power = pow(10, floor(log10(rough))), ratio = rough / power;
    double step = power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
    double largest = fmax(fabs(axis->low), fabs(axis->high));
    size_t count = 0;
    for (double k = ceil(axis->low / step - 1e-9); k * step <= axis->high + 1e-9 * step && count < LK_TICKS; k++) {
        ticks[count].value = k * step + 0.0; /* no -0 */
        label_linear(ticks[count].label, sizeof ticks->label, ticks[count].value, step, largest);
        count++;
    }
    return count;
}

/* Powers of ten have one digit, those of two up to six. */
static void label_power(char *out, size_t size, int base, double value)
{
    bool plain = base == 10 ? value >= 1e-3 && value < 1e5 : value >= 1e-4 && value < 1e6;
    snprintf(out, size, plain ? "%.6g" : base == 10 ? "%.0e" : "%.2e", value);
    shorten_exponent(out);
}

/* Powers of the base, and what lies between where that is not too much. `every` power has a label. */
static size_t power_ticks(const lk_axis *axis, lk_tick *ticks, size_t *labels)
{
    double base = axis->base;
    int first = (int)floor(log(axis->low) / log(base) + 1e-9), last = (int)floor(log(axis->high) / log(base) + 1e-9);
    int powers = last - (int)ceil(log(axis->low) / log(base) - 1e-9) + 1; /* on the axis */
    int most = axis->base == 10 ? DECADES : OCTAVES;
    int every = (powers - 1) / most + 1;
    size_t count = 0;
    *labels = 0;
    for (int k = first; k <= last; k++)
        for (int digit = 1; digit < axis->base && count < LK_TICKS; digit++) {
            double value = digit * pow(base, k);
            bool few = powers <= 2 && (digit == 2 || digit == 5);
            if (value < axis->low * (1 - 1e-9) || value > axis->high * (1 + 1e-9) || (every > 1 && (digit > 1 || k % every)))
                continue;
            ticks[count] = (lk_tick){.value = value};
            if (digit == 1 || few) {
                label_power(ticks[count].label, sizeof ticks->label, axis->base, value);
                ++*labels;
            }
            count++;
        }
    return count;
}

size_t lk_axis_ticks(const lk_axis *axis, lk_tick ticks[LK_TICKS])
{
    size_t labels = 0, count = axis->base ? power_ticks(axis, ticks, &labels) : 0;
    return labels >= 2 ? count : linear_ticks(axis, ticks);
}
