/* Where the names of points in a plot go, so that none lies over another or over a point. */
#ifndef LK_LAUNCH_REPORT_POINT_NAMES_H
#define LK_LAUNCH_REPORT_POINT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { LK_POINT_RADIUS = 7, LK_NAMED_POINTS = 400 };

/* As in a drawing: y grows downwards. */
typedef struct lk_box {
    double left, top, right, bottom;
} lk_box;

typedef struct lk_named_point {
    const char *name;
    bool first; /* its name has the first choice of places, and may lie over other points rather than nowhere */
    double x, y;
    bool shown; /* set: there was room, in `box` */
    lk_box box;
} lk_named_point;

/* Each name beside, above or below its point, inside of `room`; a name without room is not shown. The ends of the list come
 * before what lies between. `height` of a line, `letter` its mean width. */
void lk_place_names(lk_named_point *points, size_t count, lk_box room, double height, double letter);

#endif
