// SPDX-License-Identifier: Apache-2.0
// cvlan-relay: flags, signals, readiness. Ending it ends no pair: those are the kernel's.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "base/file.h"
#include "base/log.h"
#include "base/openssl_provider.h"
#include "base/systemd.h"
#include "base/version.h"
#include "daemons/relay/config.h"
#include "daemons/relay/enrol.h"
#include "daemons/relay/relay.h"
#include "netlink/netns.h"
#include "relay/kernel_pair_host.h"

namespace {

using namespace cvlan;
using namespace cvlan::relayd;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kConfiguration = 78;  // sysexits.h, EX_CONFIG

struct Flags {
    std::string config = kDefaultConfigPath;
    Overrides overrides;
    std::string token_file;
    std::string name;
    bool check_config = false;
    bool print_config = false;
    bool enrols = false;
    bool clears = false;
};

int fail_with(const Error& error, int status) {
    fmt::print(stderr, "cvlan-relay: {}\n", error.message);
    return status;
}

// Null where this machine can not: then there is TLS and STUN.
std::unique_ptr<relay::PairHost> kernel_of(const netlink::NetnsFd& netns,
                                           const RelayConfig& config) {
    if (!config.udp_relaying) return nullptr;
    auto host = relay::KernelPairHost::open(netns, config.enable_forwarding);
    if (host) return std::move(*host);
    log::warn("relay.kernel_unavailable", {{"error", host.error().message}});
    return nullptr;
}

int serve(const RelayConfig& config) {
    EventLoop loop;
    const SystemClock clock;
    auto netns = netlink::NetnsFd::current();
    if (!netns) return fail_with(netns.error(), kFailed);
    auto relay = Relay::start(loop, clock, config, kernel_of(*netns, config));
    if (!relay) {
        // Nothing to serve, or a folder or port that is not ours: starting again would not help.
        const bool wants_human =
            relay.error().code == Code::NotFound || relay.error().code == Code::Denied;
        return fail_with(relay.error(), wants_human ? kConfiguration : kFailed);
    }
    bool is_stopping = false;
    const auto stop = [&] {
        if (std::exchange(is_stopping, true)) return loop.stop();  // asked twice: now
        sd_notify("STOPPING=1");
        (*relay)->drain([&] { loop.stop(); });
    };
    const Watch term = loop.on_signal(SIGTERM, stop);
    const Watch interrupt = loop.on_signal(SIGINT, stop);
    log::info("relay.ready", {{"version", kVersion}, {"listen", (*relay)->endpoint().text()}});
    sd_notify("READY=1");
    loop.run();
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

int enrol_by(const RelayConfig& config, const Flags& flags) {
    const auto token = read_token(flags.token_file);
    if (!token) return fail_with(token.error(), kFailed);
    EventLoop loop;
    std::optional<Result<std::string>> done;
    auto dir = StateDir::open(config.state_dir);
    if (!dir) return fail_with(dir.error(), kFailed);
    Enrolling enrolling(loop, *dir, [&](Result<std::string> result) {
        done = std::move(result);
        loop.stop();
    });
    if (auto begun = enrolling.begin(*token, flags.name); !begun)
        return fail_with(begun.error(), kFailed);
    loop.run();
    if (!*done) return fail_with(done->error(), kFailed);
    fmt::print("{}\n", **done);
    return 0;
}

int clear() {
    auto netns = netlink::NetnsFd::current();
    if (!netns) return fail_with(netns.error(), kFailed);
    if (auto done = relay::KernelPairHost::clear(*netns); !done)
        return fail_with(done.error(), kFailed);
    return 0;
}

int run(const Flags& flags) {
    auto config = load_config(flags.config, flags.overrides,
                              [](const char* name) -> const char* { return std::getenv(name); });
    if (!config) return fail_with(config.error(), kConfiguration);
    if (flags.print_config) fmt::print("{}", print_config(*config));
    if (flags.print_config || flags.check_config) return 0;
    log::set_level(config->log_level);
    signal(SIGPIPE, SIG_IGN);
    harden_process();
    if (flags.clears) return clear();
    return flags.enrols ? enrol_by(*config, flags) : serve(*config);
}

int start(int argc, char** argv) {
    offer_only_used_keys();
    Flags flags;
    CLI::App app{"The CloudVLAN relay: see cvlan-relay(8)."};
    app.add_option("--config", flags.config, "configuration file")->capture_default_str();
    app.add_option("--state-dir", flags.overrides.state_dir, "instead of the configuration's");
    app.add_option("--log-level", flags.overrides.log_level, "debug, info, warn or error");
    app.add_flag("--check-config", flags.check_config, "check the configuration and end");
    app.add_flag("--print-config", flags.print_config, "print the whole configuration and end");
    app.set_version_flag("--version", std::string("cvlan-relay ") + kVersion);
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
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsage;
    }
    return run(flags);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return start(argc, argv);
    } catch (const std::exception& error) {  // of a library: we throw nothing
        std::fprintf(stderr, "cvlan-relay: %s\n", error.what());
        return kFailed;
    }
}
