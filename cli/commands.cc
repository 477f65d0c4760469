// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

namespace cvlan::cli {

// The whole tool on one screen.
constexpr Command kCommands[] = {
    {"tenant create", tenant_create, object, "create a tenant"},
    {"tenant list", tenant_list, nothing, "list the tenants"},
    {"tenant show", tenant_show, object, "show one tenant"},
    {"tenant rename", tenant_rename, rename_options, "give a tenant another name"},
    {"tenant delete", tenant_delete, object, "delete a tenant without networks and nodes"},
    {"network create", network_create, network_create_options, "create a network in a tenant"},
    {"network list", network_list, nothing, "list the networks of a tenant"},
    {"network show", network_show, object, "show one network"},
    {"network rename", network_rename, rename_options, "give a network another name"},
    {"network delete", network_delete, object, "delete a network without nodes"},
    {"token create", token_create, token_create_options,
     "create a registration token and print it"},
    {"token list", token_list, nothing, "list the tokens of a tenant; never the tokens themselves"},
    {"token show", token_show, object, "show one token's record"},
    {"token revoke", token_revoke, object, "refuse a token from now on"},
    {"token delete", token_delete, object, "delete a token's record; it can not be used any more"},
    {"token make", token_make, token_make_options,
     "make a registration token offline, with a key of the tenant"},
    {"token-key create", token_key_create, token_key_create_options,
     "make a key that makes registration tokens offline"},
    {"token-key list", token_key_list, nothing, "list the keys that make tokens offline"},
    {"token-key show", token_key_show, object, "show one such key"},
    {"token-key delete", token_key_delete, object, "refuse a key and all of its tokens"},
    {"node list", node_list, node_list_options, "list the nodes of a tenant"},
    {"node show", node_show, object, "show one node, its addresses and its machine"},
    {"node rename", node_rename, rename_options, "give a node another name"},
    {"node expire", node_expire, object, "make a node enrol again; id and addresses are kept"},
    {"node revoke", node_revoke, object, "shut a node out; its keys are barred for good"},
    {"node delete", node_delete, object, "delete a node; its peers forget it"},
    {"get", get, get_options, "show objects of any kind, in the form that apply takes"},
    {"apply", apply, apply_options, "make objects as files say; a second time changes nothing"},
    {"diff", diff, diff_options, "print what apply would do; 0 is nothing, 1 is something"},
    {"up", up, up_options, "bring this machine's tunnels up, with a token the first time"},
    {"down", down, nothing, "take this machine's tunnels away; it stays enrolled"},
    {"logout", logout, nothing, "leave the controller and forget this machine's identity"},
    {"audit list", audit_list, audit_list_options, "list what was done and what was refused"},
    {"audit export", audit_export, audit_export_options, "write the audit as NDJSON or CSV"},
    {"audit verify", audit_verify, nothing, "check that no entry was changed or taken away"},
    {"status", status, nothing, "show this machine and its peers"},
    {"ping", ping, ping_options, "probe a peer through its tunnel"},
    {"plan", plan, nothing, "show what the agent would change now; nothing when converged"},
    {"version", version, nothing, "show the version of this program"},
};

std::span<const Command> command_table() { return kCommands; }

}  // namespace cvlan::cli
