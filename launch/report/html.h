/* Pieces of the report's page. Everything that comes from files goes through lk_html_text. Errors stick to the stream. */
#ifndef LK_LAUNCH_REPORT_HTML_H
#define LK_LAUNCH_REPORT_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Between tags and inside of double-quoted attributes: markup is escaped, bytes that are no UTF-8 and control characters become
 * U+FFFD. NULL counts as "". */
void lk_html_text(FILE *page, const char *text);
/* Four significant digits; an en dash for NAN. */
void lk_html_number(FILE *page, double value);
/* A cell of a table that sorts by its number; `digits` behind the point, an en dash for what is not finite. */
void lk_html_cell(FILE *page, double value, int digits);
/* The head of a column that sorts; `meaning` is its hint, or NULL. */
void lk_html_head(FILE *page, const char *name, const char *meaning);
void lk_html_base64(FILE *page, const void *data, size_t size);

/* The style sheet and the script of the page, with their tags: style.c. */
extern const char *const lk_html_style;
extern const char *const lk_html_script;

#endif
