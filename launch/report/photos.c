/* What an encoder makes of photos of people, and how often its certainties are right; declared in sections.h. */
#include "launch/report/html.h"
#include "launch/report/sections.h"
#include "trainer/evaluate/evaluate.h"

#include <math.h>

/* Faces that are shown from either end, and that photos.png holds. */
enum { SHOWN = 8, SHEET_FACES = 1000 };

void lk_html_reliability(FILE *page, const lk_recorded_bin *bins, int count, double error)
{
    if (count == 0)
        return;
    fputs("<h3>Certainties <small>how often choices of one certainty are right; expected calibration error ", page);
    lk_html_number(page, error);
    fputs("</small></h3><div class=\"scroll\"><table><thead><tr>", page);
    lk_html_head(page, "from", NULL);
    lk_html_head(page, "to", NULL);
    lk_html_head(page, "choices", NULL);
    lk_html_head(page, "certainty", "the mean of what was said");
    lk_html_head(page, "right", "the share that was right");
    fputs("</tr></thead><tbody>\n", page);
    for (int b = 0; b < count; b++) {
        fputs("<tr>", page);
        lk_html_cell(page, bins[b].from, 1);
        lk_html_cell(page, bins[b].to, 1);
        lk_html_cell(page, (double)bins[b].choices, 0);
        lk_html_cell(page, bins[b].certainty, 3);
        lk_html_cell(page, bins[b].right, 3);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

static void write_columns(FILE *page, const lk_photo_record *r)
{
    if (r->column_count == 0)
        return;
    fputs("<div class=\"scroll\"><table class=\"sort\"><thead><tr>", page);
    lk_html_head(page, "what a person sees", NULL);
    lk_html_head(page, "right", NULL);
    lk_html_head(page, "faces", NULL);
    lk_html_head(page, "accuracy", NULL);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < r->column_count; i++) {
        fputs("<tr><td>", page);
        lk_html_text(page, r->columns[i].name);
        fputs("</td>", page);
        lk_html_cell(page, (double)r->columns[i].right, 0);
        lk_html_cell(page, (double)r->columns[i].judged, 0);
        lk_html_cell(page, r->columns[i].accuracy, 3);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n<p>Mean accuracy ", page);
    lk_html_number(page, r->mean_accuracy);
    fputs(".</p>\n", page);
}

static void write_measures(FILE *page, const lk_photo_record *r)
{
    if (r->measured > 0) {
        fputs("<p>Landmarks of photo and client's picture: median distance ", page);
        lk_html_number(page, r->landmarks);
        fprintf(page, " eye distances, %lld faces.</p>\n", (long long)r->measured);
    }
    if (r->identified > 1) {
        fputs("<p>Identity: AUC ", page);
        lk_html_number(page, r->auc);
        fputs(" (chance 0.5), rank 1 ", page);
        lk_html_number(page, r->rank1);
        fputs(" (chance ", page);
        lk_html_number(page, 1 / (double)r->identified);
        fprintf(page, "), %lld faces.</p>\n", (long long)r->identified);
    }
}

static void tile(FILE *page, const lk_picture *picture, int size, int parts, size_t face)
{
    static const char *const names[] = {"photo", "D(p)", "client"};
    for (int part = 0; part < parts; part++)
        fprintf(page,
                "<span class=\"tile %s\" role=\"img\" aria-label=\"face %zu, %s\" style=\"--x:%d;--y:%d;--w:%d;--u:%d\"></span>",
                picture->class, face + 1, parts == 2 && part == 1 ? "picture" : names[part],
                (int)(face % LK_TRIPTYCH_COLUMNS) * (parts * size + LK_TRIPTYCH_GAP) + part * size,
                (int)(face / LK_TRIPTYCH_COLUMNS) * (size + LK_TRIPTYCH_GAP), picture->width, size);
}

static void write_faces(FILE *page, const lk_photo_record *r, const lk_picture *picture, int size, int parts, size_t first,
                        size_t end)
{
    fputs("<div class=\"scroll\"><table class=\"faces\"><thead><tr><th scope=\"col\">photo | D(p) | client</th><th>face</th>"
          "<th class=\"n\">right</th><th class=\"n\">landmarks</th><th class=\"n\">distance</th></tr></thead><tbody>\n",
          page);
    for (size_t i = first; i < end; i++) {
        const lk_recorded_face *face = &r->faces[i];
        fputs("<tr><td>", page);
        tile(page, picture, size, parts, i);
        fputs("</td><td>", page);
        lk_html_text(page, face->name);
        fprintf(page, "</td><td class=\"n\">%lld of %lld</td>", (long long)face->right, (long long)face->judged);
        lk_html_cell(page, face->landmarks, 3);
        lk_html_cell(page, face->distance, 3);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

void lk_html_photos(FILE *page, const lk_report_run *run, const lk_picture *picture)
{
    const lk_photo_record *r = &run->photos;
    if (!r->present)
        return;
    fprintf(page, "<h3>Photos <small>%lld faces</small></h3>\n", (long long)r->samples);
    write_columns(page, r);
    write_measures(page, r);
    lk_html_reliability(page, r->bins, r->bin_count, r->calibration_error);
    int size = run->config ? run->config->model.size : 0;
    int column = (picture->width + LK_TRIPTYCH_GAP) / LK_TRIPTYCH_COLUMNS, parts = size ? (column - LK_TRIPTYCH_GAP) / size : 0;
    size_t count = r->face_count < SHEET_FACES ? r->face_count : SHEET_FACES;
    size_t rows = (count + LK_TRIPTYCH_COLUMNS - 1) / LK_TRIPTYCH_COLUMNS;
    if (parts < 1 || parts > 3 || column != parts * size + LK_TRIPTYCH_GAP || count == 0 ||
        picture->height != (int)rows * (size + LK_TRIPTYCH_GAP) - LK_TRIPTYCH_GAP)
        return;
    bool all = count <= 2 * SHOWN;
    fprintf(page, "<h3>%s</h3>\n", all ? "Faces, the best first" : "The best faces");
    write_faces(page, r, picture, size, parts, 0, all ? count : SHOWN);
    if (all)
        return;
    fputs("<h3>The worst faces</h3>\n", page);
    write_faces(page, r, picture, size, parts, count - SHOWN, count);
}
