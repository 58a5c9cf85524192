/* SPDX-License-Identifier: Apache-2.0 */
/* wire_peer.h - a client made of a bare socket, for tests of the wire server
 * byte by byte.  Each test file that includes it has a server of its own. */
#ifndef WIRE_PEER_H
#define WIRE_PEER_H

#include "tests/harness/suite.h"
#include "tests/wire/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013, HEADER = 16 };

static wire_server_t *server;

static inline void setup(void)
{
    server = wire_server_new(NULL);
    ck_assert_ptr_nonnull(server);
}

static inline void teardown(void)
{
    wire_server_free(server);
}

static inline int try_dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(wire_server_port(server)),
    };
    struct timeval patience = {.tv_sec = 90};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline int dial(void)
{
    int fd = try_dial();

    ck_assert_int_ge(fd, 0);
    return fd;
}

static inline void put_int32(uint8_t *at, int32_t value)
{
    memcpy(at, &value, sizeof value); /* the tests' machines are like this */
}

static inline int32_t get_int32(const uint8_t *at)
{
    int32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static inline void send_bytes(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        ck_assert_int_gt(n, 0);
        at += n;
        size -= (size_t)n;
    }
}

/* An OP_MSG with the command in `text`; its size. */
static inline size_t make_msg(int32_t id, uint32_t flags, const char *text,
                       uint8_t *out, size_t room)
{
    bson_error_t error;
    bson_t *body = bson_new_from_json((const uint8_t *)text, -1, &error);
    size_t size;

    ck_assert_msg(body != NULL, "%s: %s", text, error.message);
    size = HEADER + 5 + body->len;
    ck_assert_uint_le(size, room);
    memset(out, 0, HEADER + 5);
    put_int32(out, (int32_t)size);
    put_int32(out + 4, id);
    put_int32(out + 12, OP_MSG);
    put_int32(out + 16, (int32_t)flags);
    memcpy(out + 21, bson_get_data(body), body->len);
    bson_destroy(body);
    return size;
}

static inline void ask(int fd, int32_t id, const char *text)
{
    uint8_t message[2048];

    send_bytes(fd, message, make_msg(id, 0, text, message, sizeof message));
}

/* Read exactly so much; false when the connection ends before. */
static inline bool take(int fd, void *out, size_t size)
{
    uint8_t *at = out;

    while (size > 0) {
        ssize_t n = recv(fd, at, size, 0);

        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* The next reply; the document is the caller's. */
static inline bson_t *hear(int fd, int32_t *opcode, int32_t *response_to)
{
    uint8_t header[HEADER];
    uint8_t *body;
    bson_t *document;
    size_t size, skip;

    ck_assert(take(fd, header, sizeof header));
    *opcode = get_int32(header + 12);
    *response_to = get_int32(header + 8);
    size = (size_t)get_int32(header) - HEADER;
    skip = *opcode == OP_REPLY ? 20 : 5;
    body = malloc(size);
    ck_assert_ptr_nonnull(body);
    ck_assert(take(fd, body, size));
    document = bson_new_from_data(body + skip, size - skip);
    ck_assert_ptr_nonnull(document);
    free(body);
    return document;
}

static inline int64_t number_in(const bson_t *document, const char *path)
{
    bson_iter_t iter, at;

    ck_assert(bson_iter_init(&iter, document));
    ck_assert_msg(bson_iter_find_descendant(&iter, path, &at), "no %s", path);
    return bson_iter_as_int64(&at);
}

/* Ask, and take one number of the reply. */
static inline int64_t answer_of(int fd, const char *text, const char *path)
{
    static int32_t id = 1000;
    int32_t opcode, response_to;
    bson_t *reply;
    int64_t number;

    ask(fd, ++id, text);
    reply = hear(fd, &opcode, &response_to);
    ck_assert_int_eq(opcode, OP_MSG);
    ck_assert_int_eq(response_to, id);
    number = number_in(reply, path);
    bson_destroy(reply);
    return number;
}

static inline bool pings(void)
{
    int fd = dial();
    int64_t ok = answer_of(fd, "{\"ping\": 1, \"$db\": \"a\"}", "ok");

    close(fd);
    return ok == 1;
}

#endif /* WIRE_PEER_H */
