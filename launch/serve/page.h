/* The page that a browser gets: page.html, page.css and page.js of this folder, which stand in the program. */
#ifndef LK_LAUNCH_SERVE_PAGE_H
#define LK_LAUNCH_SERVE_PAGE_H

#include "launch/serve/answer.h"

/* The file that is served under `path` ("/", "/page.css", "/page.js"); no answer is made where there is none. */
void lk_page_answer(const char *path, lk_answer *answer);

/* What the page may do: load and ask nothing but from this server, and show pictures of its own. */
#define LK_PAGE_POLICY                                                                                                           \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "              \
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

#endif
