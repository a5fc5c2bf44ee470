/* The runs' pictures on the page: as the backgrounds of CSS classes, which elements show whole or cut out of them.
 *
 * As long as all of them have at most LK_PICTURE_BYTES they are part of the page. Else the page shows them where the runs keep
 * them, by paths relative to the page's folder, and a browser loads those that are looked at. */
#ifndef LK_LAUNCH_REPORT_PICTURE_H
#define LK_LAUNCH_REPORT_PICTURE_H

#include "base/file.h"
#include "launch/report/report.h"

enum { LK_PICTURE_BYTES = 6 << 20 };

/* Width 0: there is none, or it cannot be read. */
typedef struct lk_picture {
    int width, height;
    char class[24];
} lk_picture;

typedef struct lk_pictures {
    lk_picture *triptychs, *samples, *photos; /* [runs of the report] */
    bool inside;                              /* part of the page */
    long long bytes;
} lk_pictures;

/* Looks at the pictures' headers; one that is no PNG file is a warning. LK_INTERNAL (memory). */
lk_status lk_pictures_open(const lk_report *report, lk_pictures *out);
void lk_pictures_free(lk_pictures *pictures);
/* The style sheet with the classes. `path` is the page's. LK_BAD_DATA: the page's folder is not there. */
lk_status lk_pictures_write(FILE *page, const lk_report *report, lk_pictures *pictures, const char *path);

/* The path of `to` as seen from the folder `from`, both absolute and without links: "../../a b/c". */
void lk_relative_path(char out[LK_PATH_SIZE * 2], const char *from, const char *to);

#endif
