// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/path.h"

namespace cvlan::cli {

namespace local = model::local;

constexpr size_t kMaxToken = 4096;  // as api/local.yaml takes it

void up_options(CLI::App& app, Args& args) {
    auto* file = app.add_option("--token-file", args.token_file,
                                "file with a registration token, or - for standard input");
    app.add_option("--token", args.token, "the token itself; others can see it in the process list")
        ->excludes(file);
    app.add_option("--name", args.name, "the name of this machine in the network");
    add_duration(app, "--wait", args.wait,
                 "how long to wait for the tunnels, default 30s, at most 10m");
}

void ping_options(CLI::App& app, Args& args) {
    app.add_option("PEER", args.name, "its name, id or overlay address")->required();
    app.add_option("-c,--count", args.count, "how many probes")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
}

// The token by flag, file, standard input or CVLAN_TOKEN; empty when there is none.
static Result<std::string> read_token(const Args& args, Io& io) {
    std::string token = args.token;
    if (args.token_file == "-") {
        token.resize(kMaxToken + 2);
        io.in.read(token.data(), static_cast<std::streamsize>(token.size()));
        token.resize(static_cast<size_t>(io.in.gcount()));
    } else if (!args.token_file.empty()) {
        auto content = read_secret_file(args.token_file, kMaxToken + 2);
        if (!content) return failed(content.error());
        token = std::move(*content);
    } else if (const char* set = std::getenv("CVLAN_TOKEN"); token.empty() && set) {
        token = set;
    }
    while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back())))
        token.pop_back();
    if (token.empty() && !args.token_file.empty())
        return cvlan::fail(Code::Invalid, "{}: there is no token in it", args.token_file);
    if (token.size() > kMaxToken)
        return cvlan::fail(Code::Invalid, "this is no token: it is too long");
    return token;
}

int up(const Args& args, Io& io) {
    if (args.wait > std::chrono::minutes(10)) {
        io.err << "cvlanctl: --wait is at most 10m\n";
        return kUsage;
    }
    auto token = read_token(args, io);
    if (!token) return fail(io, token.error());
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    local::UpRequest request;
    if (!token->empty()) request.token = *token;
    if (!args.name.empty()) request.name = args.name;
    request.wait_seconds = args.wait.count();
    auto result = agent->up(request);
    if (!result) return fail(io, result.error());
    if (args.output == Output::Name)
        io.out << printable(result->name.value_or("")) << '\n';
    else if (!print_document(args, io, encode(*result)))
        print_table(io, {},
                    {{result->name.value_or("-"), std::string(text(result->state)),
                      join(result->addresses)}});
    if (result->converged) return kOk;
    io.err << fmt::format("cvlanctl: not up after {} s: {}\n", args.wait.count(),
                          printable(result->detail.value_or(std::string(text(result->state)))));
    return kFailed;
}

int down(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto result = agent->down();
    if (!result) return fail(io, result.error());
    if (!print_document(args, io, encode(*result))) io.out << text(result->state) << '\n';
    return kOk;
}

int logout(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    auto result = agent->logout();
    if (!result) return fail(io, result.error());
    print_document(args, io, encode(*result));
    if (result->removed_at_controller) return kOk;
    io.err << fmt::format(
        "cvlanctl: forgotten here, but the controller still knows this node: {}\n",
        printable(result->detail.value_or("it was not reached")));
    return kPartly;
}

static void print_probe(Io& io, const local::PingResult& probe) {
    const std::string peer = printable(fmt::format("{} ({})", probe.peer, probe.address));
    const std::string path = printable(path_text(probe));
    if (!probe.answered) {
        io.out << fmt::format("no answer from {}, path {}\n", peer, path);
        return;
    }
    const bool is_direct = probe.path == local::PathKind::Direct;
    const double milliseconds = static_cast<double>(probe.rtt_microseconds.value_or(0)) / 1000.0;
    io.out << fmt::format(
        "answer from {} in {:.2f} ms, path {}{}\n", peer, milliseconds, path,
        is_direct && probe.endpoint ? printable(fmt::format(" by {}", *probe.endpoint)) : "");
}

int ping(const Args& args, Io& io) {
    auto agent = client::Agent::open(args.socket);
    if (!agent) return fail(io, agent.error());
    local::PingReport report;
    bool is_answered = false;
    for (int64_t sent = 0; sent < args.count; ++sent) {
        if (sent > 0) io.pause(std::chrono::milliseconds(500));
        auto probe = agent->ping({.peer = args.name, .timeout_ms = 2000});
        if (!probe) return fail(io, probe.error());
        is_answered = is_answered || probe->answered;
        if (args.output == Output::Table) print_probe(io, *probe);
        if (!io.out.flush()) break;  // nobody reads on (`| head -1`), or there is no room
        // A direct path is the best there is: what was to be found out is found.
        const bool is_done = probe->answered && probe->path == local::PathKind::Direct;
        report.probes.push_back(std::move(*probe));
        if (is_done) break;
    }
    if (!print_document(args, io, encode(report)) && args.output == Output::Name && is_answered)
        io.out << printable(report.probes.front().peer) << '\n';
    return is_answered ? kOk : kFailed;
}

}  // namespace cvlan::cli
