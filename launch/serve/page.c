#include "launch/serve/page.h"

#include <stddef.h>
#include <string.h>

/* The assembler puts the files into the program as they are; the paths are those of the tree's root, where make runs. */
#define EMBED(name, file)                                                                                                        \
    __asm__(".section .rodata\n.global lk_page_" #name "\n.global lk_page_" #name "_end\nlk_page_" #name ":\n.incbin \"" file    \
            "\"\nlk_page_" #name "_end:\n.byte 0\n.previous\n");                                                                 \
    extern const unsigned char lk_page_##name[], lk_page_##name##_end[]

EMBED(html, "launch/serve/page.html");
EMBED(css, "launch/serve/page.css");
EMBED(js, "launch/serve/page.js");

void lk_page_answer(const char *path, lk_answer *answer)
{
    const struct {
        const char *path, *type;
        const unsigned char *begin, *end;
    } table[] = {{"/", "text/html; charset=utf-8", lk_page_html, lk_page_html_end},
                 {"/page.css", "text/css; charset=utf-8", lk_page_css, lk_page_css_end},
                 {"/page.js", "text/javascript; charset=utf-8", lk_page_js, lk_page_js_end}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(path, table[i].path) != 0)
            continue;
        lk_answer_free(answer);
        *answer = (lk_answer){
            .code = 200, .type = table[i].type, .fixed = table[i].begin, .size = (size_t)(table[i].end - table[i].begin)};
    }
}
