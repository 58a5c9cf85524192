/* SPDX-License-Identifier: Apache-2.0 */
/* wire_log.c - what the server was asked.
 *
 * Old entries make place for new ones, by number and by the memory that their
 * documents take, so that a long load does not fill the machine. */
#include "tests/wire/wire_log.h"
#include "tests/wire/wire_server.h"

#include <string.h>

enum { DEFAULT_LIMIT = 4096, BYTES_LIMIT = 64 << 20, TALLIES_LIMIT = 1000 };

void wire_log_init(wire_log_t *log, size_t limit)
{
    memset(log, 0, sizeof *log);
    log->limit = limit ? limit : DEFAULT_LIMIT;
}

static wire_command_t *entry(const wire_log_t *log, size_t i)
{
    return &log->entries[(log->first + i) % log->room];
}

static void forget_oldest(wire_log_t *log)
{
    wire_command_t *oldest = entry(log, 0);

    if (oldest->document != NULL)
        log->bytes -= oldest->document->len;
    wire_command_clear(oldest);
    log->first = (log->first + 1) % log->room;
    log->size--;
}

void wire_log_free(wire_log_t *log)
{
    while (log->size > 0)
        forget_oldest(log);
    bson_free(log->entries);
    bson_free(log->tallies);
    bson_free(log->sessions);
}

void wire_log_count(wire_log_t *log, const char *name)
{
    wire_tally_t *tally;

    for (size_t i = 0; i < log->n_tallies; i++) {
        tally = &log->tallies[i];
        if (strncmp(tally->name, name, sizeof tally->name - 1) == 0) {
            tally->n++;
            return;
        }
    }
    if (log->n_tallies == TALLIES_LIMIT) /* of invented names */
        return;
    log->tallies = bson_realloc(log->tallies,
                                (log->n_tallies + 1) * sizeof *tally);
    tally = &log->tallies[log->n_tallies++];
    bson_strncpy(tally->name, name, sizeof tally->name);
    tally->n = 1;
}

int64_t wire_log_counted(const wire_log_t *log, const char *name)
{
    for (size_t i = 0; i < log->n_tallies; i++) {
        if (strcmp(log->tallies[i].name, name) == 0)
            return log->tallies[i].n;
    }
    return 0;
}

/* The place where `lsid` is, or where it belongs. */
static uint8_t *session_place(const wire_log_t *log, const uint8_t *lsid)
{
    static const uint8_t none[16];
    uint64_t hash;
    size_t i;

    memcpy(&hash, lsid, sizeof hash); /* a random UUID is its own hash */
    for (i = hash % log->session_room;; i = (i + 1) % log->session_room) {
        uint8_t *place = log->sessions[i];

        if (memcmp(place, lsid, 16) == 0 || memcmp(place, none, 16) == 0)
            return place;
    }
}

static void grow_sessions(wire_log_t *log)
{
    uint8_t(*old)[16] = log->sessions;
    size_t old_room = log->session_room;
    static const uint8_t none[16];

    log->session_room = old_room ? 2 * old_room : 64;
    log->sessions = bson_malloc0(log->session_room * sizeof *log->sessions);
    for (size_t i = 0; i < old_room; i++) {
        if (memcmp(old[i], none, 16) != 0)
            memcpy(session_place(log, old[i]), old[i], 16);
    }
    bson_free(old);
}

bool wire_log_session(wire_log_t *log, const uint8_t *lsid)
{
    uint8_t *place;

    if (2 * log->n_sessions >= log->session_room)
        grow_sessions(log);
    place = session_place(log, lsid);
    if (memcmp(place, lsid, 16) == 0)
        return false;
    memcpy(place, lsid, 16);
    log->n_sessions++;
    return true;
}

static void grow_entries(wire_log_t *log)
{
    size_t room = log->room ? 2 * log->room : 64;
    wire_command_t *entries;

    if (room > log->limit)
        room = log->limit;
    entries = bson_malloc0(room * sizeof *entries);
    for (size_t i = 0; i < log->size; i++)
        entries[i] = *entry(log, i);
    bson_free(log->entries);
    log->entries = entries;
    log->first = 0;
    log->room = room;
}

void wire_log_append(wire_log_t *log, const wire_command_t *command)
{
    size_t bytes = command->document ? command->document->len : 0;
    wire_command_t *last;

    if (log->size == log->room && log->room < log->limit)
        grow_entries(log);
    while (log->size > 0 &&
           (log->size == log->room || log->bytes + bytes > BYTES_LIMIT))
        forget_oldest(log);
    last = entry(log, log->size++);
    *last = *command;
    if (command->document != NULL)
        last->document = bson_copy(command->document);
    log->bytes += bytes;
}

/* -------------------------------------------------- what the tests may call */

static void copy_out(const wire_command_t *command, wire_command_t *out)
{
    *out = *command;
    if (command->document != NULL)
        out->document = bson_copy(command->document);
}

size_t wire_log_size(wire_server_t *server)
{
    size_t size;

    pthread_mutex_lock(&server->lock);
    size = server->log.size;
    pthread_mutex_unlock(&server->lock);
    return size;
}

bool wire_log_at(wire_server_t *server, size_t i, wire_command_t *out)
{
    bool found;

    pthread_mutex_lock(&server->lock);
    found = i < server->log.size;
    if (found)
        copy_out(entry(&server->log, i), out);
    pthread_mutex_unlock(&server->lock);
    return found;
}

bool wire_log_find(wire_server_t *server, const char *name, size_t i,
                   wire_command_t *out)
{
    wire_log_t *log = &server->log;
    bool found = false;

    name = wire_canonical_name(name);
    pthread_mutex_lock(&server->lock);
    for (size_t at = 0; at < log->size && !found; at++) {
        if (strcmp(entry(log, at)->name, name) != 0)
            continue;
        found = i-- == 0;
        if (found)
            copy_out(entry(log, at), out);
    }
    pthread_mutex_unlock(&server->lock);
    return found;
}

void wire_command_clear(wire_command_t *command)
{
    if (command->document != NULL)
        bson_destroy(command->document);
    memset(command, 0, sizeof *command);
}

void wire_log_clear(wire_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    while (server->log.size > 0)
        forget_oldest(&server->log);
    server->log.n_tallies = 0;
    pthread_mutex_unlock(&server->lock);
}
