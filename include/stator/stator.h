/* SPDX-License-Identifier: Apache-2.0 */
/* stator.h - all of Stator: the only header that most programs include.
 *
 *   future.h      poll, wait, attach, compose, cancel; results and errors
 *   promise.h     a future of your own
 *   dispatcher.h  one descriptor that brings results into your loop
 *   client.h      workers, queue, options, commands, close
 *   database.h, collection.h, cursor.h   the driver's verbs
 *   change_stream.h              what changes, event by event
 *   lease.h, session.h           one connection kept; sessions, transactions
 *   event.h                      what the driver sees; contexts
 *   gridfs_bucket.h              files in chunks
 *   error.h, version.h
 *
 * Event loops: adapters/epoll.h, poll.h and uv.h, which are not included
 * here. */
#ifndef STATOR_STATOR_H
#define STATOR_STATOR_H

#include <stator/change_stream.h>
#include <stator/client.h>
#include <stator/collection.h>
#include <stator/cursor.h>
#include <stator/database.h>
#include <stator/dispatcher.h>
#include <stator/error.h>
#include <stator/event.h>
#include <stator/future.h>
#include <stator/gridfs_bucket.h>
#include <stator/lease.h>
#include <stator/promise.h>
#include <stator/session.h>
#include <stator/version.h>

#endif /* STATOR_STATOR_H */
