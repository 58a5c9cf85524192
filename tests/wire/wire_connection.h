/* SPDX-License-Identifier: Apache-2.0 */
/* wire_connection.h - one client: its bytes, and the command it is at. */
#ifndef WIRE_CONNECTION_H
#define WIRE_CONNECTION_H

#include "tests/wire/wire_buffer.h"
#include "tests/wire/wire_message.h"
#include "tests/wire/wire_gate.h"
#include "tests/wire/wire_script.h"
#include "tests/wire/wire_timers.h"

#include <sys/queue.h>

typedef enum {
    CONNECTION_READY,    /* for the next command */
    CONNECTION_HELD,     /* on a gate's list */
    CONNECTION_RELEASED, /* on the server's list of those that go on */
    CONNECTION_DELAYED,  /* has a timer */
    CONNECTION_DRIPPING, /* has a timer, and bytes to send */
    CONNECTION_SILENT,   /* for ever */
    CONNECTION_ENDING,   /* hangs up when its bytes are out */
    CONNECTION_DEAD,     /* closed; the loop will free it */
} wire_connection_state_t;

typedef struct wire_connection {
    TAILQ_ENTRY(wire_connection) link;  /* the server's: open, or dead */
    TAILQ_ENTRY(wire_connection) queue; /* a gate's, or the server's released */
    wire_server_t *server;
    int fd;
    int64_t id;
    wire_connection_state_t state;
    bool client;       /* has sent more than hello */
    uint32_t events;   /* what epoll watches */
    wire_buffer_t in;
    size_t taken;      /* bytes of `in` that are done with */
    wire_buffer_t out;
    size_t sent;       /* bytes of `out` that are gone */
    int64_t replies;   /* that end in `out` */
    size_t length;     /* of the command that it is at, in `in` at `taken` */
    wire_line_t *line; /* that applies to this command; may be NULL */
    wire_gate_t *gate; /* while HELD */
    wire_timer_t timer;
    bool awaits_events; /* while DELAYED: goes on when there are some */
    bool awaits_news;   /* while DELAYED: for news of the member, at most */
    int32_t streamed;  /* the last reply of a stream, or 0 */
    int64_t known;     /* which state of that the client knows */
    uint8_t last_lsid[16];
} wire_connection_t;

/* A command being looked at.  All of it points into the connection's buffer
 * and is valid until that changes. */
typedef struct wire_request {
    wire_connection_t *connection;
    wire_message_t message;
    const char *name; /* canonical */
    const char *db;
    const char *collection; /* "" if none */
    const uint8_t *lsid;    /* 16 bytes, or NULL */
    bool hello;
} wire_request_t;

/* False when the bytes are no command. */
bool wire_request_parse(wire_connection_t *connection, const uint8_t *data,
                        size_t size, wire_request_t *out);

/* The same for tests; `out->document` is a new one, to be destroyed. */
void wire_request_describe(const wire_request_t *request, wire_command_t *out);

/* Takes over `fd`. */
wire_connection_t *wire_connection_new(wire_server_t *server, int fd);
void wire_connection_free(wire_connection_t *connection);

/* Close it now.  Whoever has it in hand sees the state DEAD. */
void wire_connection_end(wire_connection_t *connection, wire_end_t how);

/* What the loop calls. */
void wire_connection_ready(wire_connection_t *connection, uint32_t events);
void wire_connection_released(wire_connection_t *connection);
void wire_connection_timer(wire_connection_t *connection);

/* The member was set anew. */
void wire_connection_news(wire_connection_t *connection);

#endif /* WIRE_CONNECTION_H */
