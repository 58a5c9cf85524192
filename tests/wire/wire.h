/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - a MongoDB server for tests: it speaks the wire protocol, does what a
 * script tells it, and remembers what it was asked.
 *
 *   wire_server_t *server = wire_server_new(NULL);
 *   wire_gate_t *gate = wire_gate_new(server);
 *   char uri[WIRE_URI_SIZE];
 *
 *   wire_server_uri(server, "retryReads=false", uri, sizeof uri);
 *   wire_rule_add(server, &(wire_rule_t){.command = "find", .gate = gate});
 *   ... start a find through `uri` ...
 *   ck_assert(wire_gate_wait_held(gate, 1, WIRE_WAIT));   it is running now
 *   ... whatever must happen while it runs ...
 *   wire_gate_open(gate);                                 and now it answers
 *   wire_server_free(server);
 *
 * It is not a database.  Collections are what the test says they are, writes
 * are counted and not stored, filters are ignored but for {_id: <value>}.
 * Cursors and sessions are kept as a real server keeps them: a getMore is
 * refused when it comes in another session, or for another namespace, than the
 * find did.  Every command that is not scripted gets an ordinary answer.
 *
 * One thread of its own runs one epoll loop; all its state is behind one lock.
 * Every function here may be called from any thread, at any time; none but the
 * wire_*_wait_* ones blocks.  Callbacks of the test (wire_make_fn,
 * wire_predicate_fn, wire_rewrite_fn) run on the server's thread with that lock
 * held: they must be quick and call nothing in this header but
 * wire_buffer_*(). */
#ifndef WIRE_H
#define WIRE_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define WIRE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WIRE_MUST_CHECK
#endif

typedef struct wire_server wire_server_t;
typedef struct wire_gate wire_gate_t;
typedef struct wire_buffer wire_buffer_t;

/* A time-out in milliseconds for a wait that is expected to succeed: 10 s,
 * times CK_TIMEOUT_MULTIPLIER of the environment (slow tools).  If it runs out
 * after all, the wait says on stderr what it waited for and what it saw.  One
 * with a time-out of its own just returns false. */
#define WIRE_WAIT (-1)

/* Room enough for any URI that wire_server_uri() makes. */
#define WIRE_URI_SIZE 1024

/* How a connection ends. */
typedef enum {
    WIRE_FIN, /* an orderly close */
    WIRE_RST, /* a reset */
} wire_end_t;

/* ------------------------------------------------------------------ server */

typedef enum {
    WIRE_STANDALONE,
    WIRE_PRIMARY,   /* of the set `set_name` */
    WIRE_SECONDARY, /* answers writes with NotWritablePrimary (10107) */
    WIRE_OTHER,     /* a member that is neither: starting up, recovering */
} wire_role_t;

/* What hello says of a replica set member.  Copied; all zero: a standalone. */
typedef struct {
    wire_role_t role;
    const char *set_name; /* NULL: "rs" */
    const char *hosts;    /* "127.0.0.1:1,127.0.0.1:2"; NULL: itself alone */
    const char *primary;  /* "host:port"; NULL: itself if it is the primary */
    int set_version;      /* 0: 1 */
    int election;         /* grows with every election; the electionId */
    const char *tags;     /* "dc:east,rack:1"; NULL: none */
    bool awaitable;       /* hello tells a topologyVersion, and one that asks
                           * for news (maxAwaitTimeMS) waits until this member
                           * is set anew; streamed, where that is allowed.
                           * It tells of its last write too, as now */
} wire_member_t;

/* All zero is a good standalone server for tests. */
typedef struct {
    uint16_t port;        /* on 127.0.0.1; 0: any free one */
    wire_member_t member; /* may be changed at run time */
    int max_wire_version; /* 0: 17 */
    int64_t documents;    /* generated ones in each collection that the test did
                           * not describe: {_id: 0}, {_id: 1}, ...; default 0 */
    int64_t delay_us;     /* every reply but those to hello waits so long ... */
    int64_t jitter_us;    /* ... give or take so much, evenly spread */
    size_t log_limit;     /* commands remembered, then the oldest is forgotten;
                           * 0: 4096 */
    bool no_log;          /* remember none (counts are always kept) */
    bool log_hello;       /* remember hello too: the driver's monitors send it
                           * whenever they like */
} wire_options_t;

/* Start a server: it listens when this returns.  NULL `options`: all defaults.
 * NULL with a line on stderr when there is no socket or thread to be had. */
wire_server_t *wire_server_new(const wire_options_t *options) WIRE_MUST_CHECK;

/* End the thread, close everything, free everything, gates included.  Clients
 * must not expect an answer any more.  NULL is fine. */
void wire_server_free(wire_server_t *server);

uint16_t wire_server_port(const wire_server_t *server);

/* "mongodb://127.0.0.1:PORT/?EXTRA" into `out`, which it returns.  `extra` is
 * "a=b&c=d" or NULL.  For a replica set member the URI names the set. */
char *wire_server_uri(wire_server_t *server, const char *extra, char *out,
                      size_t size);

/* From now on hello says this; the driver sees it at its next heartbeat. */
void wire_server_set_member(wire_server_t *server, const wire_member_t *member);

/* The process is stopped, as by SIGSTOP: the kernel still accepts connections
 * and takes in bytes, nobody reads or answers them, and timers stand still. */
void wire_server_pause(wire_server_t *server);
void wire_server_resume(wire_server_t *server);

/* Connections that exist go on; new ones stay in the kernel's backlog. */
void wire_server_stop_accepting(wire_server_t *server);
void wire_server_start_accepting(wire_server_t *server);

/* The process dies: the port is closed, so are all connections, and cursors
 * are forgotten; scripts, gates, counts and log stay.  Up: it is back on the
 * same port; false when someone else has taken that. */
void wire_server_down(wire_server_t *server, wire_end_t how);
bool wire_server_up(wire_server_t *server) WIRE_MUST_CHECK;

/* End all connections, or the one of that number; the server lives on. */
void wire_server_hang_up(wire_server_t *server, wire_end_t how);
bool wire_server_hang_up_one(wire_server_t *server, int64_t connection,
                             wire_end_t how);

/* ------------------------------------------------------------- collections */

/* Appends the fields of document `i` to `out`; with an _id, please. */
typedef void wire_make_fn(int64_t i, bson_t *out, void *arg);

/* Let the collection `ns` ("db.name") hold `n` documents made by `make`, anew
 * each time they are read; NULL: {_id: <int32 i>}.  Replaces what it held.
 * Cursors that are open keep what they were opened on, so `arg` must live as
 * long as the server. */
void wire_collection(wire_server_t *server, const char *ns, int64_t n,
                     wire_make_fn *make, void *arg);

/* `n` events happen.  All change streams (an aggregate that begins with
 * $changeStream), of whatever collection, see them as {_id: <resume token>,
 * operationType: "insert", n: <0, 1, ..>}, tailable finds as {_id: <0, 1, ..>}
 * from the first on; a getMore waits for them for its maxTimeMS, or a second.
 * A change stream with the stage {$match: {n: ..}} sees that one alone.
 * Tokens, their postBatchResumeToken and operationTime are places in this one
 * feed, which outlives wire_server_down(). */
void wire_events(wire_server_t *server, int64_t n);

/* ---------------------------------------------------------------- commands */

/* A command as it came in.  `document` is whole: the document sequences of an
 * OP_MSG are in it as arrays. */
typedef struct {
    int64_t sequence;    /* 1, 2, ... in the order of arrival */
    int64_t connection;  /* 1, 2, ... in the order of accept */
    int32_t request_id;
    char name[64];       /* "find"; always "hello" for isMaster and its kin */
    char db[64];
    char collection[192]; /* "" when the command has none */
    bool has_lsid;
    uint8_t lsid[16];
    bool unacknowledged; /* moreToCome was set: no reply may be sent */
    bson_t *document;    /* NULL where the log did not keep it */
} wire_command_t;

/* ----------------------------------------------------------------- scripts */

/* What a rule does with a command, after its gate and its delay. */
typedef enum {
    WIRE_ANSWER,      /* the ordinary answer (a rule may only hold or delay) */
    WIRE_REPLY,       /* `reply`, as it is */
    WIRE_ERROR,       /* {ok: 0, code, codeName, errmsg, errorLabels} */
    WIRE_WRITE_ERROR, /* ok, but the statement `index` failed: writeErrors */
    WIRE_CONCERN_ERROR, /* the ordinary answer with a writeConcernError */
    WIRE_CLOSE,       /* no reply: hang up as `end` says */
    WIRE_CUT,         /* `cut` bytes of the ordinary answer, then hang up */
    WIRE_RAW,         /* `raw`, byte by byte what you say; header included */
    WIRE_REWRITE,     /* the ordinary answer's bytes, changed by `rewrite` */
    WIRE_SILENCE,     /* never a reply, and no more is read as a command */
} wire_action_t;

/* More conditions than fields can say; true: the rule applies. */
typedef bool wire_predicate_fn(const wire_command_t *command, void *arg);

/* Change the bytes of a whole reply, 16-byte header included. */
typedef void wire_rewrite_fn(const wire_command_t *command,
                             wire_buffer_t *reply, void *arg);

/* One line of a script; what is zero is not asked for.  Copied, `reply`, `raw`
 * and all strings included; `arg` and `gate` are not.
 *
 *   the second find fails       .command = "find", .skip = 1, .times = 1,
 *                               .action = WIRE_ERROR, .code = 11600
 *   inserts are slow            .command = "insert", .delay_ms = 500
 *   half a reply, then a reset  .command = "getMore", .action = WIRE_CUT,
 *                               .cut = 20, .end = WIRE_RST */
typedef struct {
    /* when: all of these */
    const char *command;    /* "find", or several: "insert update delete".
                             * NULL: any but hello.  "*": hello too */
    const char *db;
    const char *collection;
    int64_t connection;     /* the number of one connection */
    wire_predicate_fn *predicate;
    int skip;               /* not to the first so many that match ... */
    int times;              /* ... but to the next so many, then it is gone;
                             * 0: for ever */
    /* first */
    wire_gate_t *gate;      /* held here until the gate lets it go on */
    int64_t delay_ms;       /* then so long; other connections go on */
    /* then */
    wire_action_t action;
    const bson_t *reply;    /* REPLY */
    const char *reply_json; /* REPLY, as extended JSON; NULL `reply` */
    int code;               /* ERROR, WRITE_ERROR, CONCERN_ERROR; 0: 8000, and
                             * 11000 for WRITE_ERROR, 64 for CONCERN_ERROR */
    const char *message;    /* same; NULL: "scripted failure" */
    const char *labels;     /* same; "RetryableWriteError" or several, spaced */
    int index;              /* WRITE_ERROR */
    wire_end_t end;         /* CLOSE, CUT */
    size_t cut;             /* CUT; 0: half of it */
    const void *raw;        /* RAW */
    size_t raw_size;
    wire_rewrite_fn *rewrite;
    void *arg;              /* of predicate and rewrite */
    /* how the bytes go out */
    int64_t drip_ms;        /* one byte, a pause of so long, the next ... */
    bool hang_up;           /* hang up as `end` says once they are out */
} wire_rule_t;

/* Append a rule to the script; returns its number (1, 2, ...), or 0 with a line
 * on stderr when the rule makes no sense.  Of the rules that match, the one
 * that was added FIRST applies, and only that one: a script reads from top to
 * bottom, and the line below takes over when the line above is used up. */
int wire_rule_add(wire_server_t *server, const wire_rule_t *rule);

/* Commands that are held or delayed by it already are not affected. */
void wire_rule_remove(wire_server_t *server, int rule);
void wire_rule_remove_all(wire_server_t *server);

/* To how many commands the rule was applied; 0 for a number never given. */
int64_t wire_rule_hits(wire_server_t *server, int rule);

/* The command configureFailPoint with failCommand is understood as well (mode
 * "off", "alwaysOn", {times: n}, {skip: n}; failCommands, errorCode,
 * errorLabels, closeConnection, blockConnection with blockTimeMS,
 * writeConcernError; appName is ignored).  Rules go first. */

/* A growing run of bytes.  Integers are little-endian, as on the wire. */
uint8_t *wire_buffer_data(wire_buffer_t *buffer);
size_t wire_buffer_size(const wire_buffer_t *buffer);
void wire_buffer_resize(wire_buffer_t *buffer, size_t size); /* new bytes: 0 */
void wire_buffer_append(wire_buffer_t *buffer, const void *data, size_t size);
int32_t wire_buffer_get_int32(const wire_buffer_t *buffer, size_t at);
void wire_buffer_set_int32(wire_buffer_t *buffer, size_t at, int32_t value);

/* ------------------------------------------------------------------- gates */

/* A shut gate.  Belongs to the server and dies with it. */
wire_gate_t *wire_gate_new(wire_server_t *server);

/* Let all go on that are held, and all that come later. */
void wire_gate_open(wire_gate_t *gate);

/* Let `n` go on, those held longest first; when fewer are held, the next to
 * come pass freely until `n` have. */
void wire_gate_pass(wire_gate_t *gate, int64_t n);

/* Hold what comes from now on; takes back what wire_gate_pass() left over. */
void wire_gate_shut(wire_gate_t *gate);

/* How many are held now.  A client that hangs up is held no longer. */
int64_t wire_gate_held(wire_gate_t *gate);

/* Wait until at least `n` are held, or, for `wait_empty`, until none is. */
bool wire_gate_wait_held(wire_gate_t *gate, int64_t n, int64_t timeout_ms)
    WIRE_MUST_CHECK;
bool wire_gate_wait_empty(wire_gate_t *gate, int64_t timeout_ms)
    WIRE_MUST_CHECK;

/* ------------------------------------------------------------- observation */

/* Since the server was made, restarts included. */
typedef struct {
    int64_t commands;           /* that came in, hello not counted */
    int64_t hellos;
    int64_t replies;            /* handed to the kernel in full, to hello too */
    int64_t unacknowledged;     /* commands that wanted no reply */
    int64_t connections_open;   /* the driver's monitors included */
    int64_t connections_total;
    int64_t clients_open;       /* open ones that have sent more than hello */
    int64_t clients_total;
    int64_t cursors_open;
    int64_t cursors_total;
    int64_t sessions;           /* different lsids seen */
    int64_t sessions_ended;     /* by endSessions */
    int64_t inserted;           /* documents, over all inserts that went well */
    int64_t held;               /* commands at gates now */
    int64_t protocol_errors;    /* what a client sent and is no message */
    int64_t bytes_in;
    int64_t bytes_out;
} wire_stats_t;

void wire_stats(wire_server_t *server, wire_stats_t *out);

/* How many commands of that name came in; they count on arrival, so before a
 * gate or a delay.  NULL: all but hello. */
int64_t wire_count(wire_server_t *server, const char *name);

/* Wait until at least `n` of them did. */
bool wire_wait_count(wire_server_t *server, const char *name, int64_t n,
                     int64_t timeout_ms) WIRE_MUST_CHECK;

/* Wait until exactly `n` cursors, connections (clients: those that have sent
 * more than hello) are open. */
bool wire_wait_cursors(wire_server_t *server, int64_t n, int64_t timeout_ms)
    WIRE_MUST_CHECK;
bool wire_wait_connections(wire_server_t *server, int64_t n,
                           int64_t timeout_ms) WIRE_MUST_CHECK;
bool wire_wait_clients(wire_server_t *server, int64_t n, int64_t timeout_ms)
    WIRE_MUST_CHECK;

/* Wait for anything: `until` is asked after every turn of the loop.  It runs
 * on the waiting thread, with the lock held. */
typedef bool wire_until_fn(const wire_stats_t *stats, void *arg);
bool wire_wait_until(wire_server_t *server, wire_until_fn *until, void *arg,
                     int64_t timeout_ms) WIRE_MUST_CHECK;

/* The log: command `i` of those remembered (0 is the oldest), or the `i`-th
 * of that name.  A copy: clear it when done.  False past the end. */
size_t wire_log_size(wire_server_t *server);
bool wire_log_at(wire_server_t *server, size_t i, wire_command_t *out)
    WIRE_MUST_CHECK;
bool wire_log_find(wire_server_t *server, const char *name, size_t i,
                   wire_command_t *out) WIRE_MUST_CHECK;
void wire_command_clear(wire_command_t *command);

/* Forget the remembered commands and start the counts by name at 0 again. */
void wire_log_clear(wire_server_t *server);

#endif /* WIRE_H */
