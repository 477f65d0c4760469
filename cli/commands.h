// SPDX-License-Identifier: Apache-2.0
#pragma once

// Every command, by the file that holds it; cli/commands.cc is the table.

#include <span>

#include "cli/cli.h"

namespace cvlan::cli {

std::span<const Command> command_table();

// A command that the table of resources makes, for a noun or verb that has none of its own.
struct NounCommand {
    std::string path;  // "group create"
    std::string summary;
    std::function<void(CLI::App&, Args&)> options;
    std::function<int(const Args&, Io&)> run;
};
// nouns.cc
std::vector<NounCommand> noun_commands();
int tenant_rename(const Args& args, Io& io);
int network_rename(const Args& args, Io& io);
int node_rename(const Args& args, Io& io);
int user_role(const Args& args, Io& io);
int user_disable(const Args& args, Io& io);
int user_enable(const Args& args, Io& io);
int service_account_role(const Args& args, Io& io);
int service_account_disable(const Args& args, Io& io);
int service_account_enable(const Args& args, Io& io);
int webhook_enable(const Args& args, Io& io);
int webhook_disable(const Args& args, Io& io);

// tenant.cc
int tenant_create(const Args& args, Io& io);
int tenant_list(const Args& args, Io& io);
int tenant_show(const Args& args, Io& io);
int tenant_usage(const Args& args, Io& io);
// network.cc
int network_create(const Args& args, Io& io);
int network_list(const Args& args, Io& io);
int network_show(const Args& args, Io& io);
void network_create_options(CLI::App& app, Args& args);
// token.cc
int token_create(const Args& args, Io& io);
int token_list(const Args& args, Io& io);
int token_show(const Args& args, Io& io);
void token_create_options(CLI::App& app, Args& args);
// False, and said so, where a token needs a network and none is named.
bool says_network(const Args& args, Io& io);
// token_key.cc
int token_key_create(const Args& args, Io& io);
int token_key_list(const Args& args, Io& io);
int token_key_show(const Args& args, Io& io);
int token_make(const Args& args, Io& io);
void token_key_create_options(CLI::App& app, Args& args);
void token_make_options(CLI::App& app, Args& args);
// node.cc
int node_list(const Args& args, Io& io);
int node_show(const Args& args, Io& io);
int node_peers(const Args& args, Io& io);
void node_list_options(CLI::App& app, Args& args);
// external.cc
int node_create(const Args& args, Io& io);
void node_create_options(CLI::App& app, Args& args);
// audit.cc
int audit_list(const Args& args, Io& io);
int audit_export(const Args& args, Io& io);
int audit_verify(const Args& args, Io& io);
void audit_list_options(CLI::App& app, Args& args);
void audit_export_options(CLI::App& app, Args& args);
// get.cc
int get(const Args& args, Io& io);
void get_options(CLI::App& app, Args& args);
void list_options(CLI::App& app, Args& args);
// What those options ask of a kind, in the session's tenant.
Result<client::Listing> listing_of(const Args& args, std::string_view kind, Session& session);
// apply.cc
int apply(const Args& args, Io& io);
int diff(const Args& args, Io& io);
void apply_options(CLI::App& app, Args& args);
void diff_options(CLI::App& app, Args& args);
// webhook.cc
int webhook_create(const Args& args, Io& io);
int webhook_list(const Args& args, Io& io);
void webhook_create_options(CLI::App& app, Args& args);
// job.cc
int job_list(const Args& args, Io& io);
// status.cc
int status(const Args& args, Io& io);
int plan(const Args& args, Io& io);
// ipsec.cc
int ipsec_list(const Args& args, Io& io);
int ipsec_show(const Args& args, Io& io);
int ipsec_rekey(const Args& args, Io& io);
int ipsec_terminate(const Args& args, Io& io);
void ipsec_peer_options(CLI::App& app, Args& args);
// ipsec_export.cc
int ipsec_connection_export(const Args& args, Io& io);
void ipsec_connection_export_options(CLI::App& app, Args& args);
// netcheck.cc
int netcheck(const Args& args, Io& io);
// local.cc
int up(const Args& args, Io& io);
int down(const Args& args, Io& io);
int logout(const Args& args, Io& io);
int ping(const Args& args, Io& io);
void up_options(CLI::App& app, Args& args);
void ping_options(CLI::App& app, Args& args);
// login.cc
int login(const Args& args, Io& io);
int whoami(const Args& args, Io& io);
int password_change(const Args& args, Io& io);
int password_set(const Args& args, Io& io);
int context_list(const Args& args, Io& io);
int context_use(const Args& args, Io& io);
int context_delete(const Args& args, Io& io);
void login_options(CLI::App& app, Args& args);
void password_set_options(CLI::App& app, Args& args);
// account.cc
int user_create(const Args& args, Io& io);
int user_list(const Args& args, Io& io);
int user_show(const Args& args, Io& io);
int user_link(const Args& args, Io& io);
int service_account_create(const Args& args, Io& io);
int service_account_list(const Args& args, Io& io);
int service_account_show(const Args& args, Io& io);
int access_token_create(const Args& args, Io& io);
int access_token_list(const Args& args, Io& io);
void account_options(CLI::App& app, Args& args);
void account_list_options(CLI::App& app, Args& args);
void account_object(CLI::App& app, Args& args);
void account_role_options(CLI::App& app, Args& args);
void access_token_create_options(CLI::App& app, Args& args);
// certificate.cc
int certificate_create(const Args& args, Io& io);
void certificate_create_options(CLI::App& app, Args& args);
// run.cc
int version(const Args& args, Io& io);
void object(CLI::App& app, Args& args);          // one positional: a name or an id
void nothing(CLI::App& app, Args& args);         // no options of its own
void rename_options(CLI::App& app, Args& args);  // an object and its new name

}  // namespace cvlan::cli
