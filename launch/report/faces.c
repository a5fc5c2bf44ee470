/* The same faces as the settings see them, cut out of the runs' pictures; declared in sections.h. */
#include "launch/report/html.h"
#include "launch/report/sections.h"
#include "trainer/evaluate/evaluate.h"

#include <string.h>

/* More settings than a few side by side nobody compares. */
enum { FACES = 8, SETTINGS = 12 };

/* How faces lie in a run's picture. parts: input, D(p), and the client's render where there is one. */
typedef struct sheet {
    const char *class; /* NULL: no picture */
    int size, parts, count, width;
    bool triptych;
} sheet;

static sheet sheet_of(const lk_report_run *run, const lk_picture *triptych, const lk_picture *sample)
{
    sheet s = {.size = run->config->model.size};
    int column = (triptych->width + LK_TRIPTYCH_GAP) / LK_TRIPTYCH_COLUMNS;
    if (triptych->width > 0) {
        int parts = (column - LK_TRIPTYCH_GAP) / s.size;
        bool fits = column * LK_TRIPTYCH_COLUMNS == triptych->width + LK_TRIPTYCH_GAP &&
                    parts * s.size == column - LK_TRIPTYCH_GAP && (parts == 2 || parts == 3);
        int rows = (triptych->height + LK_TRIPTYCH_GAP) / (s.size + LK_TRIPTYCH_GAP);
        if (fits)
            return (sheet){triptych->class, s.size, parts, rows * LK_TRIPTYCH_COLUMNS, triptych->width, true};
    }
    if (sample->width > 0 && sample->width % s.size == 0 && sample->height == 3 * s.size)
        return (sheet){sample->class, s.size, 2, sample->width / s.size, sample->width, false};
    return s;
}

static void tile(FILE *page, const sheet *s, int face, int part)
{
    static const char *const names[] = {"input", "D(p)", "client"};
    int x = s->triptych ? face % LK_TRIPTYCH_COLUMNS * (s->parts * s->size + LK_TRIPTYCH_GAP) + part * s->size : face * s->size;
    int y = s->triptych ? face / LK_TRIPTYCH_COLUMNS * (s->size + LK_TRIPTYCH_GAP) : part * s->size;
    fprintf(page,
            "<span class=\"tile %s\" role=\"img\" aria-label=\"face %d, %s\" "
            "style=\"--x:%d;--y:%d;--w:%d;--u:%d\"></span>",
            s->class, face + 1, names[part], x, y, s->width, s->size);
}

/* The run that stands for a setting: the first that has been evaluated, else the first with samples. */
static sheet choose(const lk_report *report, const lk_setting *setting, const lk_pictures *pictures)
{
    sheet chosen = {0};
    for (size_t i = 0; i < setting->run_count && !chosen.triptych; i++) {
        size_t run = setting->runs[i];
        sheet s = sheet_of(&report->runs[run], &pictures->triptychs[run], &pictures->samples[run]);
        if (s.class && (!chosen.class || s.triptych))
            chosen = s;
    }
    return chosen;
}

static bool same_input(const lk_comparison *comparison)
{
    for (size_t k = 0; k < comparison->key_count; k++)
        if (strcmp(lk_config_key(comparison->keys[k]), "data.val") == 0 ||
            strcmp(lk_config_key(comparison->keys[k]), "model.size") == 0)
            return false;
    return true;
}

/* The settings that are shown, in their order: evenly over all, among them the best. */
static size_t pick(const lk_comparison *comparison, size_t picked[SETTINGS])
{
    size_t count = comparison->count < SETTINGS ? comparison->count : SETTINGS, best = (size_t)comparison->best, nearest = 0;
    for (size_t i = 0; i < count; i++) {
        picked[i] = count > 1 ? i * (comparison->count - 1) / (count - 1) : 0;
        nearest = picked[i] <= best ? i : nearest;
    }
    if (comparison->best >= 0)
        picked[nearest] = best;
    return count;
}

static void write_heads(FILE *page, const lk_comparison *comparison, const size_t *picked, size_t count, bool shared)
{
    fprintf(page, "<h3>Faces <small>%s of the lowest seed of ", shared ? "D(p) | client" : "input | D(p) | client");
    if (count < comparison->count)
        fprintf(page, "%zu of the %zu settings", count, comparison->count);
    else
        fputs("each setting", page);
    fputs("; a run that is not evaluated shows its last samples, without the client</small></h3>\n"
          "<div class=\"scroll\"><table class=\"faces\"><thead><tr>",
          page);
    fputs(shared ? "<th scope=\"col\">input</th>" : "<th scope=\"col\">face</th>", page);
    for (size_t i = 0; i < count; i++) {
        fputs((int)picked[i] == comparison->best ? "<th scope=\"col\">&#9733; " : "<th scope=\"col\">", page);
        lk_html_text(page, comparison->settings[picked[i]].label);
        fputs("</th>", page);
    }
    fputs("</tr></thead><tbody>\n", page);
}

void lk_html_faces(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_pictures *pictures)
{
    size_t picked[SETTINGS], count = pick(comparison, picked);
    bool shared = same_input(comparison);
    sheet first = {0}, sheets[SETTINGS];
    for (size_t i = 0; i < count; i++) {
        sheets[i] = choose(report, &comparison->settings[picked[i]], pictures);
        first = first.class ? first : sheets[i];
    }
    if (!first.class)
        return;
    write_heads(page, comparison, picked, count, shared);
    for (int face = 0; face < FACES && face < first.count; face++) {
        fputs("<tr><td>", page);
        if (shared)
            tile(page, &first, face, 0);
        else
            fprintf(page, "%d", face + 1);
        fputs("</td>", page);
        for (size_t i = 0; i < count; i++) {
            const sheet *s = &sheets[i];
            fputs(s->class && face < s->count ? "<td>" : "<td>&ndash;", page);
            for (int part = shared; s->class && face < s->count && part < s->parts; part++)
                tile(page, s, face, part);
            fputs("</td>", page);
        }
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}
