/* SPDX-License-Identifier: Apache-2.0 */
/* prefork.c - a server that has a client already when it forks its workers.
 *
 *   parent: client, listening socket, fork ─► child: a client of its own,
 *           asks the children, ends them             accept, query, answer
 *
 * The rule: what was made before the fork is the parent's; every child makes
 * its own.  See docs/fork.md. */
#include <arpa/inet.h>
#include <poll.h>
#include <stator/stator.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 3, QUESTIONS = 12, DOCUMENTS = 7 };

static const char *uri;

/* Wait for `future` and give it back; its count, or -1 if it failed. */
static int finish(stator_future_t *future, const char *what)
{
    bson_error_t error = {0};
    int n = -1;

    if (stator_future_wait(future, 10000) != 0)
        fprintf(stderr, "%s: no answer yet\n", what);
    else if (stator_future_error(future, &error))
        fprintf(stderr, "%s: %s\n", what, error.message);
    else
        n = (int)stator_future_count(future);
    stator_future_unref(future);
    return n;
}

static stator_client_t *connect_to_database(void)
{
    bson_error_t error;
    stator_client_t *client = stator_client_new(uri, NULL, &error);

    if (client == NULL) {
        fprintf(stderr, "%s\n", error.message);
        exit(EXIT_FAILURE);
    }
    return client;
}

static bool disconnect(stator_client_t *client)
{
    bool ok = finish(stator_client_close(client, NULL), "close") >= 0;

    stator_client_unref(client);
    return ok;
}

/* ---- a child ----------------------------------------------------------- */

/* In the child the parent's client answers every call at once, with an error
 * that says why.  Giving it back touches neither sockets nor the parent. */
static bool leave_to_the_parent(stator_client_t *inherited)
{
    stator_future_t *ping = stator_client_ping(inherited, NULL);
    bson_error_t error = {0};
    bool told = stator_future_error(ping, &error) &&
                error.code == STATOR_ERROR_FORKED;

    printf("child %d: %s\n", (int)getpid(), error.message);
    stator_future_unref(ping);
    stator_client_unref(inherited);
    return told;
}

static bool answer(int listener, stator_client_t *client)
{
    stator_collection_t *things =
        stator_client_get_collection(client, "example", "prefork");
    int n, peer = accept(listener, NULL, NULL);
    char text[32];

    if (peer < 0) { /* another child was faster */
        stator_collection_unref(things);
        return true;
    }
    n = finish(stator_collection_count_documents(things, NULL, NULL),
               "count");
    snprintf(text, sizeof text, "%d documents", n);
    n = write(peer, text, sizeof text) == sizeof text ? n : -1;
    close(peer);
    stator_collection_unref(things);
    return n >= 0;
}

/* Until the parent closes its end of the pipe. */
static int serve(int listener, int parent, stator_client_t *inherited)
{
    bool ok = leave_to_the_parent(inherited);
    stator_client_t *client = connect_to_database(); /* its own */
    struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
                           {.fd = parent, .events = POLLIN}};

    while (ok && poll(fds, 2, -1) > 0) {
        if (fds[0].revents != 0)
            ok = answer(listener, client);
        else if (fds[1].revents != 0)
            break;
    }
    ok &= disconnect(client);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the parent -------------------------------------------------------- */

static bool ask(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[32] = "", expected[32];
    bool ok;

    snprintf(expected, sizeof expected, "%d documents", DOCUMENTS);
    ok = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
         recv(fd, text, sizeof text, MSG_WAITALL) == sizeof text &&
         strcmp(text, expected) == 0;
    close(fd);
    if (!ok)
        fprintf(stderr, "a child answered \"%s\"\n", text);
    return ok;
}

static int listen_on(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)address, size) != 0 ||
        listen(fd, QUESTIONS) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0) {
        perror("listen");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static bool fill(stator_collection_t *things)
{
    bson_t none = BSON_INITIALIZER;
    bool ok =
        finish(stator_collection_delete_many(things, &none, NULL), "delete") >=
        0;

    for (int i = 0; ok && i < DOCUMENTS; i++)
        ok = finish(stator_collection_insert_one(things, &none, NULL),
                    "insert") == 1;
    return ok;
}

int main(void)
{
    stator_client_t *client;
    stator_collection_t *things;
    struct sockaddr_in address;
    int listener, end[2], status;
    pid_t children[CHILDREN];
    bool ok;

    uri = getenv("MONGODB_URI") ? getenv("MONGODB_URI")
                                : "mongodb://127.0.0.1";
    client = connect_to_database();
    things = stator_client_get_collection(client, "example", "prefork");
    ok = fill(things); /* so its threads and sockets are there, at the fork */
    listener = listen_on(&address);
    if (pipe(end) != 0)
        return EXIT_FAILURE;

    fflush(NULL); /* or every child writes it once more */
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            close(end[1]);
            stator_collection_unref(things);
            return serve(listener, end[0], client);
        }
    }
    for (int i = 0; i < QUESTIONS; i++)
        ok &= ask(&address);
    close(end[1]); /* the children end */
    for (int i = 0; i < CHILDREN; i++)
        ok &= waitpid(children[i], &status, 0) == children[i] && status == 0;

    /* The parent's own client has noticed nothing. */
    ok &= finish(stator_collection_count_documents(things, NULL, NULL),
                 "count") == DOCUMENTS;
    ok &= finish(stator_collection_drop(things, NULL), "drop") >= 0;
    stator_collection_unref(things);
    ok &= disconnect(client);
    close(listener);
    close(end[0]);
    printf("%d questions, %d children: %s\n", QUESTIONS, CHILDREN,
           ok ? "all answered" : "failed");
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
