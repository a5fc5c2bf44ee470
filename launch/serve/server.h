/* likeness serve: opens the model, listens, serves until it is told to stop. */
#ifndef LK_LAUNCH_SERVE_SERVER_H
#define LK_LAUNCH_SERVE_SERVER_H

#include "launch/serve/http.h"
#include "launch/serve/service.h"

typedef struct lk_serve_options {
    lk_service_options service;
    lk_http_options http; /* `hosts`: names beside localhost and the address */
    const char *address;  /* numeric, IPv4 or IPv6 */
    int port;             /* 0: any that is free */
} lk_serve_options;

/* Prints "http://ADDRESS:PORT/" on standard output as soon as it answers. TERM and INT: nobody new is let in, what is in
 * flight is answered, and the result is LK_OK. */
lk_status lk_serve(const lk_serve_options *options);

#endif
