/* SPDX-License-Identifier: Apache-2.0 */
/* wire_control.c - what a test does to the server while it runs. */
#include "tests/wire/wire_server.h"

#include <stdio.h>
#include <unistd.h>

uint16_t wire_server_port(const wire_server_t *server)
{
    return server->port;
}

char *wire_server_uri(wire_server_t *server, const char *extra, char *out,
                      size_t size)
{
    bool member;
    char set[256] = "";

    pthread_mutex_lock(&server->lock);
    member = server->member.role != WIRE_STANDALONE;
    if (member)
        snprintf(set, sizeof set, "replicaSet=%s", server->member.set_name);
    pthread_mutex_unlock(&server->lock);
    snprintf(out, size, "mongodb://127.0.0.1:%u/?%s%s%s", server->port, set,
             member && extra ? "&" : "", extra ? extra : "");
    return out;
}

void wire_server_set_member(wire_server_t *server, const wire_member_t *member)
{
    wire_connection_t *connection;
    wire_member_t copy;

    wire_member_copy(&copy, member);
    pthread_mutex_lock(&server->lock);
    wire_member_clear(&server->member);
    server->member = copy;
    server->member_version++;
    TAILQ_FOREACH(connection, &server->connections, link)
        wire_connection_news(connection);
    wire_server_unlock_changed(server);
}

void wire_server_pause(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    server->paused = true;
    pthread_mutex_unlock(&server->lock);
}

void wire_server_resume(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    server->paused = false;
    pthread_cond_signal(&server->resumed);
    pthread_mutex_unlock(&server->lock);
}

void wire_server_stop_accepting(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    server->accepting = false;
    wire_server_listen(server, false);
    pthread_mutex_unlock(&server->lock);
}

void wire_server_start_accepting(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    server->accepting = true;
    wire_server_listen(server, true);
    pthread_mutex_unlock(&server->lock);
}

void wire_server_down(wire_server_t *server, wire_end_t how)
{
    pthread_mutex_lock(&server->lock);
    if (server->listen_fd >= 0) {
        wire_server_listen(server, false);
        close(server->listen_fd);
        server->listen_fd = -1;
    }
    wire_server_end_all(server, how);
    wire_cursors_clear(&server->cursors);
    server->stats.cursors_open = 0;
    wire_server_unlock_changed(server);
}

bool wire_server_up(wire_server_t *server)
{
    bool up;

    pthread_mutex_lock(&server->lock);
    if (server->listen_fd < 0) {
        server->listen_fd = wire_server_open_socket(&server->port);
        wire_server_listen(server, server->accepting);
    }
    up = server->listen_fd >= 0;
    pthread_mutex_unlock(&server->lock);
    return up;
}

void wire_server_hang_up(wire_server_t *server, wire_end_t how)
{
    pthread_mutex_lock(&server->lock);
    wire_server_end_all(server, how);
    wire_server_unlock_changed(server);
}

bool wire_server_hang_up_one(wire_server_t *server, int64_t connection,
                             wire_end_t how)
{
    wire_connection_t *each;

    pthread_mutex_lock(&server->lock);
    TAILQ_FOREACH(each, &server->connections, link)
    {
        if (each->id == connection) {
            wire_connection_end(each, how);
            break;
        }
    }
    wire_server_unlock_changed(server);
    return each != NULL;
}
