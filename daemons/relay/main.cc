// SPDX-License-Identifier: Apache-2.0
// cvlan-relay: flags, signals, readiness. Ending it ends no pair: those are the kernel's.

#include <cstdlib>
#include <iostream>

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/version.h"
#include "daemons/relay/config.h"
#include "daemons/relay/enrol.h"
#include "daemons/relay/relay.h"
#include "netlink/netns.h"
#include "pki/token.h"
#include "relay/kernel_pair_host.h"

namespace {

using namespace cvlan;
using namespace cvlan::relayd;

struct Flags {
    std::string token_file;
    std::string name;
    bool enrols = false;
    bool clears = false;
};

// Null where this machine can not: then there is TLS and STUN.
std::unique_ptr<relay::PairHost> kernel_of(const netlink::NetnsFd& netns,
                                           const RelayConfig& config) {
    if (!config.udp_relaying) return nullptr;
    auto host = relay::KernelPairHost::open(netns, config.enable_forwarding);
    if (host) return std::move(*host);
    log::warn("relay.kernel_unavailable", {{"error", host.error().message}});
    return nullptr;
}

int serve(const Program& program, const RelayConfig& config) {
    EventLoop loop;
    const SystemClock clock;
    auto netns = netlink::NetnsFd::current();
    if (!netns) return program.fail_with(netns.error(), kFailed);
    auto relay = Relay::start(loop, clock, config, kernel_of(*netns, config));
    if (!relay) {
        // Nothing to serve, or a folder or port that is not ours: starting again would not help.
        const bool wants_human =
            relay.error().code == Code::NotFound || relay.error().code == Code::Denied;
        return program.fail_with(relay.error(), wants_human ? kConfiguration : kFailed);
    }
    log::info("relay.ready", {{"version", kVersion}, {"listen", (*relay)->endpoint().text()}});
    run_until_told(loop, [&](std::function<void()> done) { (*relay)->drain(std::move(done)); });
    log::info("relay.stopped", {});
    return 0;
}

// A token in an argument would stand in the list of processes.
Result<std::string> read_token(const std::string& path) {
    std::string line;
    if (path == "-") {
        std::getline(std::cin, line);
    } else {
        auto text = read_file(path, pki::kMaxTokenBytes + 2);
        if (!text) return failed(text.error().while_doing("token"));
        line = std::move(*text);
    }
    return line.substr(0, line.find_first_of("\r\n"));
}

int enrol_by(const Program& program, const RelayConfig& config, const Flags& flags) {
    const auto token = read_token(flags.token_file);
    if (!token) return program.fail_with(token.error(), kFailed);
    EventLoop loop;
    std::optional<Result<std::string>> done;
    auto dir = StateDir::open(config.state_dir);
    if (!dir) return program.fail_with(dir.error(), kFailed);
    Enrolling enrolling(loop, *dir, [&](Result<std::string> result) {
        done = std::move(result);
        loop.stop();
    });
    if (auto begun = enrolling.begin(*token, flags.name); !begun)
        return program.fail_with(begun.error(), kFailed);
    loop.run();
    if (!*done) return program.fail_with(done->error(), kFailed);
    fmt::print("{}\n", **done);
    return 0;
}

int clear(const Program& program) {
    auto netns = netlink::NetnsFd::current();
    if (!netns) return program.fail_with(netns.error(), kFailed);
    if (auto done = relay::KernelPairHost::clear(*netns); !done)
        return program.fail_with(done.error(), kFailed);
    return 0;
}

int run(const Program& program, const Flags& flags) {
    const ProgramFlags& common = program.flags();
    auto config = load_config(common.config, {common.state_dir, common.log_level},
                              [](const char* name) -> const char* { return std::getenv(name); });
    if (!config) return program.fail_with(config.error(), kConfiguration);
    if (common.print_config) fmt::print("{}", print_config(*config));
    if (common.print_config || common.check_config) return 0;
    begin_work(config->log_level);
    if (flags.clears) return clear(program);
    return flags.enrols ? enrol_by(program, *config, flags) : serve(program, *config);
}

void add_flags(CLI::App& app, Flags& flags) {
    CLI::App* enrol = app.add_subcommand("enrol", "become a relay of a tenant, and end");
    enrol
        ->add_option("--token-file", flags.token_file,
                     "with a registration token of role RELAY; -: standard input")
        ->required();
    enrol->add_option("--name", flags.name, "of the node; by default made by the controller");
    enrol->fallthrough();
    enrol->callback([&] { flags.enrols = true; });
    app.add_subcommand("down", "take pairs, rules and changed settings out of the kernel")
        ->callback([&] { flags.clears = true; });
}

}  // namespace

int main(int argc, char** argv) {
    Flags flags;
    Program program("cvlan-relay", kDefaultConfigPath);
    return program.main(argc, argv,
                        {.title = "The CloudVLAN relay: see cvlan-relay(8).",
                         .add_flags = [&](CLI::App& app) { add_flags(app, flags); },
                         .run = [&] { return run(program, flags); }});
}
