// SPDX-License-Identifier: Apache-2.0
// Users, service accounts, and access tokens.
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;
using client::AccountNoun;

namespace {

std::string state_of(const wire::Account& account) {
    if (account.disabled) return "disabled";
    return account.kind == wire::AccountKind::User && !account.has_password.value_or(false)
               ? "invited"
               : "good";
}

Row row_of(const wire::Account& account) {
    return {account.name, std::string(text(account.role)), state_of(account),
            time_text(account.last_login_at), account.id};
}

Row row_of(const wire::AccessToken& token) {
    return {token.id,
            token.name,
            token.prefix + "...",
            time_text(token.expires_at),
            time_text(token.last_used_at),
            token.account_id};
}

int print_account(const Args& args, Io& io, const wire::Account& account) {
    return print_object(args, io, account,
                        {{"Name", account.name},
                         {"Id", account.id},
                         {"Tenant", account.tenant_id.value_or("- (above tenants)")},
                         {"Role", std::string(text(account.role))},
                         {"State", state_of(account)},
                         {"Created", time_text(account.created_at)},
                         {"Last login", time_text(account.last_login_at)}});
}

// Those above tenants with --operator, else those of the tenant.
Result<Session> connect_for(const Args& args) {
    return args.above_tenants ? connect(args) : connect_to_tenant(args);
}

int list_of(const Args& args, Io& io, AccountNoun noun) {
    auto session = connect_for(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, noun == AccountNoun::User ? "user" : "service-account", *session);
    if (!asked) return fail(io, asked.error());
    if (args.above_tenants) asked->limit = 0;  // those of tenants do not count
    auto all = session->controller.list_accounts(noun, *asked);
    if (!all) return fail(io, all.error());
    std::vector<Row> rows;
    std::vector<wire::Account> kept;
    for (const wire::Account& account : *all) {
        if (args.above_tenants && account.tenant_id) continue;
        if (args.limit != 0 && kept.size() == args.limit) break;
        rows.push_back(row_of(account));
        kept.push_back(account);
    }
    const Row header{"NAME", "ROLE", "STATE", "LAST LOGIN", "ID"};
    if (noun == AccountNoun::User)
        return print_list(args, io, wire::UserList{std::move(kept), ""}, header, rows);
    return print_list(args, io, wire::ServiceAccountList{std::move(kept), ""}, header, rows);
}

int show_one(const Args& args, Io& io, AccountNoun noun) {
    auto session = connect_for(args);
    if (!session) return fail(io, session.error());
    auto account = session->controller.find_account(noun, session->tenant_id, args.name);
    if (!account) return fail(io, account.error());
    return print_account(args, io, *account);
}

int print_link(const Args& args, Io& io, const wire::OneTimeLink& link) {
    if (print_document(args, io, encode(link))) return kOk;
    io.out << printable(link.link) << '\n';
    return kOk;
}

void add_role(CLI::App& app, Args& args) {
    add_choice<wire::TenantRole>(app, "--role", args.tenant_role,
                                 {{"member", wire::TenantRole::Member},
                                  {"auditor", wire::TenantRole::Auditor},
                                  {"admin", wire::TenantRole::Admin},
                                  {"owner", wire::TenantRole::Owner}},
                                 "member, auditor, admin or owner")
        ->required();
}

}  // namespace

void account_options(CLI::App& app, Args& args) {
    app.add_flag("--operator", args.above_tenants, "above tenants, not of one");
}
void account_list_options(CLI::App& app, Args& args) {
    account_options(app, args);
    list_options(app, args);
}
void account_object(CLI::App& app, Args& args) {
    object(app, args);
    account_options(app, args);
}
void account_role_options(CLI::App& app, Args& args) {
    account_object(app, args);
    add_role(app, args);
}
void access_token_create_options(CLI::App& app, Args& args) {
    app.add_option("NAME", args.name, "what it is for")->required();
    app.add_option("--service-account", args.service_account,
                   "whose it is, by name or id; by default your own");
    add_duration(app, "--expires", args.expires, "for how long it is good, such as 24h (default)");
    account_options(app, args);
}

int user_create(const Args& args, Io& io) {
    auto session = connect_for(args);
    if (!session) return fail(io, session.error());
    wire::UserCreate wanted;
    if (!session->tenant_id.empty()) wanted.tenant_id = session->tenant_id;
    wanted.email = args.name;
    wanted.role = args.tenant_role;
    auto created = session->controller.create_user(wanted);
    if (!created) return fail(io, created.error());
    if (print_document(args, io, encode(*created))) return kOk;
    return print_link(args, io, created->invitation);
}
int user_link(const Args& args, Io& io) {
    auto session = connect_for(args);
    if (!session) return fail(io, session.error());
    auto user = session->controller.find_account(AccountNoun::User, session->tenant_id, args.name);
    if (!user) return fail(io, user.error());
    auto link = session->controller.create_user_link(user->id);
    if (!link) return fail(io, link.error());
    return print_link(args, io, *link);
}
int user_list(const Args& args, Io& io) { return list_of(args, io, AccountNoun::User); }
int user_show(const Args& args, Io& io) { return show_one(args, io, AccountNoun::User); }

int service_account_create(const Args& args, Io& io) {
    auto session = connect_for(args);
    if (!session) return fail(io, session.error());
    wire::ServiceAccountCreate wanted;
    if (!session->tenant_id.empty()) wanted.tenant_id = session->tenant_id;
    wanted.name = args.name;
    wanted.role = args.tenant_role;
    auto created = session->controller.create_service_account(wanted);
    if (!created) return fail(io, created.error());
    return print_created(args, io, *created, row_of(*created));
}
int service_account_list(const Args& args, Io& io) {
    return list_of(args, io, AccountNoun::Service);
}
int service_account_show(const Args& args, Io& io) {
    return show_one(args, io, AccountNoun::Service);
}

int access_token_create(const Args& args, Io& io) {
    auto session = args.service_account.empty() ? connect(args) : connect_for(args);
    if (!session) return fail(io, session.error());
    wire::AccessTokenCreate wanted;
    wanted.name = args.name;
    wanted.expires_in = fmt::format("{}s", args.expires.count());
    if (!args.service_account.empty()) {
        auto account = session->controller.find_account(AccountNoun::Service, session->tenant_id,
                                                        args.service_account);
        if (!account) return fail(io, account.error());
        wanted.service_account_id = account->id;
    }
    auto created = session->controller.create_access_token(wanted);
    if (!created) return fail(io, created.error());
    if (print_document(args, io, encode(*created))) return kOk;
    io.out << printable(args.output == Output::Name ? created->record.id : created->token) << '\n';
    return kOk;
}
int access_token_list(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "access-token", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_access_tokens(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::AccessToken& token : list->access_tokens) rows.push_back(row_of(token));
    return print_list(args, io, *list, {"ID", "NAME", "PREFIX", "EXPIRES", "LAST USED", "ACCOUNT"},
                      rows);
}

}  // namespace cvlan::cli
