// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static std::string state_of(const wire::Token& token, WallTime now) {
    if (token.revoked) return "revoked";
    if (token.expires_at <= now) return "expired";
    return token.uses_left == 0 ? "spent" : "good";
}

static Row row_of(const wire::Token& token, WallTime now) {
    return {token.id,
            state_of(token, now),
            fmt::format("{}/{}", token.uses_left, token.uses_total),
            std::string(text(token.role)),
            time_text(token.expires_at),
            token.network_id.value_or("")};
}

static int print_token(const Args& args, Io& io, const wire::Token& token) {
    return print_object(args, io, token,
                        {{"Id", token.id},
                         {"State", state_of(token, io.clock.now())},
                         {"Tenant", token.tenant_id},
                         {"Network", token.network_id.value_or("")},
                         {"Role", std::string(text(token.role))},
                         {"Uses left", fmt::format("{} of {}", token.uses_left, token.uses_total)},
                         {"Created", time_text(token.created_at)},
                         {"Expires", time_text(token.expires_at)}});
}

void token_create_options(CLI::App& app, Args& args) {
    app.add_option("--network", args.network,
                   "the network it admits to, by id or name; a relay is in none");
    app.add_option("--uses", args.uses, "how many machines it may enrol")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    add_duration(app, "--expires", args.expires, "for how long it is good, such as 24h (default)");
    add_choice<wire::TokenRole>(app, "--role", args.role,
                                {{"node", wire::TokenRole::Node},
                                 {"vrouter", wire::TokenRole::Vrouter},
                                 {"relay", wire::TokenRole::Relay}},
                                "what enrols with it: node (default), vrouter or relay");
    app.add_option("--tags", args.tags, "tags that its nodes get, with commas")->delimiter(',');
}

bool says_network(const Args& args, Io& io) {
    if (!args.network.empty() || args.role == wire::TokenRole::Relay) return true;
    io.err << "cvlanctl: --network is required, unless --role is relay\n";
    return false;
}

int token_create(const Args& args, Io& io) {
    if (!says_network(args, io)) return kUsage;
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    wire::TokenCreate wanted;
    wanted.tenant_id = session->tenant_id;
    if (!args.network.empty()) {
        auto network = session->controller.find_network(session->tenant_id, args.network);
        if (!network) return fail(io, network.error());
        wanted.network_id = network->id;
    }
    wanted.uses = args.uses;
    wanted.expires_in = fmt::format("{}s", args.expires.count());
    wanted.role = args.role;
    wanted.tags = args.tags;
    auto created = session->controller.create_token(wanted);
    if (!created) return fail(io, created.error());
    created->record.reset();  // what a script wants is the token and its id
    if (print_document(args, io, encode(*created))) return kOk;
    io.out << printable(args.output == Output::Name ? created->id : created->token) << '\n';
    return kOk;
}

int token_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "token", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_tokens(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Token& token : list->tokens) rows.push_back(row_of(token, io.clock.now()));
    return print_list(args, io, *list, {"ID", "STATE", "USES", "ROLE", "EXPIRES", "NETWORK"}, rows);
}

int token_show(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto token = session->controller.get_token(session->tenant_id, args.name);
    if (!token) return fail(io, token.error());
    return print_token(args, io, *token);
}

}  // namespace cvlan::cli
