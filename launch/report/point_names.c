#include "launch/report/point_names.h"

#include <string.h>

static bool overlap(const lk_box *a, const lk_box *b)
{
    return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

static bool inside(const lk_box *box, const lk_box *room)
{
    return box->left >= room->left && box->right <= room->right && box->top >= room->top && box->bottom <= room->bottom;
}

static bool is_free(const lk_named_point *points, size_t count, const lk_box *box, bool off_points)
{
    for (size_t i = 0; i < count; i++) {
        const lk_named_point *p = &points[i];
        const lk_box dot = {p->x - LK_POINT_RADIUS, p->y - LK_POINT_RADIUS, p->x + LK_POINT_RADIUS, p->y + LK_POINT_RADIUS};
        if ((off_points && overlap(box, &dot)) || (p->shown && overlap(box, &p->box)))
            return false;
    }
    return true;
}

/* Letters, not bytes: those of UTF-8 that go on with a letter do not count. */
static size_t letters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* Nothing where the name is shown already. */
static void place_name(lk_named_point *points, size_t count, lk_named_point *own, const lk_box *room, double height,
                       double letter, bool off_points)
{
    enum { NEAR = LK_POINT_RADIUS + 3 };
    double width = letter * (double)letters(own->name), middle = width / 2;
    /* The offset of the box's left lower corner from the point: beside it and higher, beside it and lower, above, below. */
    const double places[][2] = {{NEAR, 0},        {-NEAR - width, 0},       {NEAR, height},     {-NEAR - width, height},
                                {-middle, -NEAR}, {-middle, NEAR + height}, {NEAR, height / 2}, {-NEAR - width, height / 2}};
    for (size_t i = 0; i < sizeof places / sizeof *places && !own->shown; i++) {
        double left = own->x + places[i][0], bottom = own->y + places[i][1];
        own->box = (lk_box){left, bottom - height, left + width, bottom};
        own->shown = inside(&own->box, room) && is_free(points, count, &own->box, off_points);
    }
}

void lk_place_names(lk_named_point *points, size_t count, lk_box room, double height, double letter)
{
    for (size_t i = 0; i < count; i++)
        if (points[i].first) {
            place_name(points, count, &points[i], &room, height, letter, true);
            place_name(points, count, &points[i], &room, height, letter, false);
        }
    if (count > 0)
        place_name(points, count, &points[count - 1], &room, height, letter, true);
    for (size_t i = 0; i < count; i++)
        place_name(points, count, &points[i], &room, height, letter, true);
}
