/* SPDX-License-Identifier: Apache-2.0 */
/* test_faults.c - thirty faults, each injected for real, and the table of what
 * came of them (table.h). */
#include "tests/faults/rows.h"

START_TEST(the_table)
{
    fault_table_print();
}
END_TEST

SUITE(faults)
{
    fault_table_new();
    add_network_faults(tc);
    add_server_faults(tc);
    add_peer_faults(tc);
    add_process_faults(tc);
    add_loop_faults(tc);
    add_call_faults(tc);
    add_client_faults(tc);
    /* The last: it reads what the others told. */
    tcase_add_test(suite_case("faults_table"), the_table);
}
