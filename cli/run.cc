// SPDX-License-Identifier: Apache-2.0
#include "api/client/resources.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 failed or not connected, 2 usage, 3 not found, 4 denied, 5 conflict, "
    "6 unreachable, 7 partly done.";

void add_global_options(CLI::App& app, Args& args) {
    add_choice<Output>(app, "-o,--output", args.output,
                       {{"table", Output::Table},
                        {"json", Output::Json},
                        {"yaml", Output::Yaml},
                        {"name", Output::Name}},
                       "how to print: table, json, yaml or name");
    app.add_option("--server", args.server,
                   "the controller: unix:PATH or https://HOST:PORT; by default the context's, else "
                   "unix:/run/cvlan/controller.sock")
        ->envname("CVLAN_SERVER")
        ->check([](const std::string& server) {
            auto target = client::Transport::open({.server = server});
            return target ? std::string() : target.error().message;
        });
    app.add_option("--ca", args.ca, "PEM file of the CA to trust for https")->envname("CVLAN_CA");
    app.add_option("--cert", args.cert, "PEM file of a client certificate for https");
    app.add_option("--key", args.key, "PEM file of its key");
    app.add_option("--socket", args.socket, "the agent's socket on this machine")
        ->envname("CVLAN_SOCKET");
    app.add_option("--context", args.context, "the login to use, as cvlanctl login keeps it")
        ->envname("CVLAN_CONTEXT");
    app.add_option("--access-token-file", args.access_token_file,
                   "file with an access token, for programs")
        ->envname("CVLAN_ACCESS_TOKEN_FILE");
    app.add_option("--tenant", args.tenant, "the tenant, by id or name")->envname("CVLAN_TENANT");
    app.add_flag("-y,--yes", args.yes, "do not ask before something is destroyed");
}

// Adds "node show" below "node", which the first command of the noun makes; so "ipsec connection
// show" below "connection", below "ipsec".
CLI::App* add_command(CLI::App& app, std::string_view path, const std::string& summary) {
    CLI::App* parent = &app;
    std::string verb(path);
    for (size_t space = verb.find(' '); space != std::string::npos; space = verb.find(' ')) {
        const std::string noun = verb.substr(0, space);
        verb = verb.substr(space + 1);
        const auto made =
            parent->get_subcommands([&](CLI::App* sub) { return sub->get_name() == noun; });
        if (!made.empty()) {
            parent = made.front();
        } else {
            const client::Resource* known = client::find_resource(noun);
            const std::string plural = known ? std::string(known->plural) : noun + "s";
            parent = parent->add_subcommand(noun, plural + " of the controller");
            parent->require_subcommand(1)->fallthrough();
        }
    }
    return parent->add_subcommand(verb, summary)->fallthrough();
}

int exit_code(Code code) {
    switch (code) {
        case Code::NotFound:
            return kNotFound;
        case Code::Exists:
        case Code::Conflict:
            return kConflict;
        case Code::Denied:
        case Code::Gone:
            return kDenied;
        case Code::Unavailable:
            return kUnreachable;
        default:
            return kFailed;
    }
}

}  // namespace

int run(const std::vector<std::string>& words, Io& io) {
    Args args;
    std::function<int(const Args&, Io&)> chosen;
    CLI::App app("Manages a CloudVLAN controller and the agent of this machine.", "cvlanctl");
    app.require_subcommand(1);
    app.set_version_flag("--version", kVersion, "show the version of this program");
    app.footer(kFooter);
    add_global_options(app, args);
    for (const Command& command : command_table()) {
        CLI::App* leaf = add_command(app, command.path, command.summary);
        command.options(*leaf, args);
        leaf->callback([&chosen, &command] { chosen = command.run; });
    }
    const auto made = noun_commands();
    for (const NounCommand& command : made) {
        CLI::App* leaf = add_command(app, command.path, command.summary);
        command.options(*leaf, args);
        leaf->callback([&chosen, &command] { chosen = command.run; });
    }
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::ParseError& stop) {
        // CLI11 has codes of its own (100-127): help is 0, all else is usage.
        return app.exit(stop, io.out, io.err) == 0 ? kOk : kUsage;
    }
    return chosen(args, io);
}

int fail(Io& io, const Error& error) {
    io.err << "cvlanctl: " << printable(error.message) << '\n';
    return exit_code(error.code);
}

// A context's token goes to the context's own server alone.
static Result<client::Target> target_of(const Args& args) {
    client::Target target{args.server, args.ca, args.cert, args.key, {}};
    if (!args.access_token_file.empty()) {
        auto text = read_secret_file(args.access_token_file, 4096);
        if (!text) return failed(text.error());
        target.token = SecretText(text->substr(0, text->find_first_of(" \r\n")));
    }
    const std::string name = args.context.empty() ? current_context() : args.context;
    if (args.server.empty() && !name.empty()) {
        auto context = load_context(name);
        if (!context) return failed(context.error());
        target.server = context->server;
        if (target.ca_file.empty()) target.ca_file = context->ca;
        if (target.token.empty()) target.token = std::move(context->token);
    }
    if (target.server.empty()) target.server = "unix:/run/cvlan/controller.sock";
    return target;
}

Result<Session> connect(const Args& args) {
    auto target = target_of(args);
    if (!target) return failed(target.error());
    auto transport = client::Transport::open(*target);
    if (!transport) return failed(transport.error());
    return Session{client::Controller(std::move(*transport)), "", !target->token.empty()};
}

Result<Session> connect_to_tenant(const Args& args) {
    auto session = connect(args);
    if (!session) return session;
    if (is_uuid(args.tenant)) {
        session->tenant_id = args.tenant;
        return session;
    }
    if (!args.tenant.empty()) {
        auto tenant = session->controller.find_tenant(args.tenant);
        if (!tenant) return failed(tenant.error());
        session->tenant_id = tenant->id;
        return session;
    }
    if (session->has_token) {
        auto me = session->controller.me();
        if (!me) return failed(me.error());
        if (me->tenant_id) {
            session->tenant_id = *me->tenant_id;
            return session;
        }
    }
    auto all = session->controller.list_tenants();
    if (!all) return failed(all.error());
    if (all->tenants.empty()) return cvlan::fail(Code::NotFound, "there is no tenant yet");
    if (all->tenants.size() > 1)
        return cvlan::fail(Code::Invalid, "there are {} tenants: say which with --tenant",
                           all->tenants.size());
    session->tenant_id = all->tenants.front().id;
    return session;
}

bool confirmed(const Args& args, Io& io, std::string_view question) {
    if (args.yes) return true;
    if (!io.in_is_terminal) {
        io.err << "cvlanctl: no terminal to ask on; --yes does it without a question\n";
        return false;
    }
    io.err << printable(question) << " [y/N] " << std::flush;
    std::string answer;
    std::getline(io.in, answer);
    if (answer == "y" || answer == "Y" || answer == "yes") return true;
    io.err << "cvlanctl: nothing was done\n";
    return false;
}

int version(const Args& args, Io& io) {
    const model::wire::Version version{kVersion, kProtocolVersion};
    if (!print_document(args, io, encode(version))) io.out << "cvlanctl " << kVersion << '\n';
    return kOk;
}

void nothing(CLI::App&, Args&) {}

void object(CLI::App& app, Args& args) {
    app.add_option("NAME", args.name, "its name or id")->required();
}

void rename_options(CLI::App& app, Args& args) {
    object(app, args);
    app.add_option("NEW", args.new_name, "the new name")->required();
}

}  // namespace cvlan::cli
