/* SPDX-License-Identifier: Apache-2.0 */
/* lib/lease.c - leases: asked for, named in opts, given back.  The handle that
 * a user holds is core's own. */
#include <stator/lease.h>

#include "lib/opts.h"
#include "lib/request.h"

static struct stc_lease *core_of(stator_lease_t *lease)
{
    return (struct stc_lease *)(void *)lease;
}

stator_future_t *stator_client_lease(stator_client_t *client,
                                     const bson_t *opts)
{
    struct stl_request r;

    stl_request_begin_on_client(&r, "client.lease", &stc_verb_lease, client,
                                "", opts, STL_OPERATION);
    if (r.core.lease_id != 0 || r.core.session_id != 0)
        stl_request_fail(&r, STATOR_ERROR_ARGUMENT,
                         "opts: %s is no option of a lease",
                         r.core.lease_id != 0 ? "leaseId" : "sessionId");
    return stl_request_submit(&r);
}

stator_lease_t *stator_future_lease(const stator_future_t *future)
{
    return (stator_lease_t *)(void *)stc_future_lease(future);
}

bool stator_lease_append(stator_lease_t *lease, bson_t *opts,
                         bson_error_t *error)
{
    if (lease == NULL)
        return stl_append_id(NULL, "lease", "leaseId", 0, opts, error);
    return stl_append_id(stc_lease_client(core_of(lease)), "lease", "leaseId",
                         stc_lease_id(core_of(lease)), opts, error);
}

stator_future_t *stator_lease_run(stator_lease_t *lease, stator_work_fn *fn,
                                  void *arg, const bson_t *opts)
{
    struct stl_request r;

    if (lease == NULL)
        return stl_null_handle("lease.run", "lease");
    stl_request_begin_on_client(&r, "lease.run", &stc_verb_run,
                                stc_lease_client(core_of(lease)), "", opts,
                                STL_OPERATION);
    stl_request_on_lease(&r, core_of(lease));
    if (fn == NULL)
        stl_request_fail(&r, STATOR_ERROR_ARGUMENT, "fn is NULL");
    r.core.fn = fn;
    r.core.arg = arg;
    return stl_request_submit(&r);
}

stator_lease_t *stator_lease_ref(stator_lease_t *lease)
{
    if (lease != NULL)
        stc_lease_add_handle(core_of(lease));
    return lease;
}

void stator_lease_unref(stator_lease_t *lease)
{
    if (lease != NULL)
        stc_lease_drop_handle(core_of(lease));
}
