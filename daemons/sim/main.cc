// SPDX-License-Identifier: Apache-2.0
// cvlan-sim: flags, signals, exit codes. 0, 1 where not every node came as far as it should, 2
// usage.

#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <csignal>

#include "base/clock.h"
#include "base/log.h"
#include "base/openssl_provider.h"
#include "base/version.h"
#include "daemons/sim/fleet.h"

namespace {

using namespace cvlan;
using namespace cvlan::sim;

constexpr int kUsage = 2;

int complain(const Error& error, int exit_code) {
    fmt::print(stderr, "cvlan-sim: {}\n", error.message);
    return exit_code;
}

// A connection or two a node.
void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int run(Plan plan) {
    raise_file_limit();
    EventLoop loop;
    Fleet fleet(loop, std::move(plan));
    bool all_there = false;
    auto started = fleet.start([&](bool good) {
        all_there = good;
        loop.stop();
    });
    if (!started) return complain(started.error(), 1);
    const Watch on_term = loop.on_signal(SIGTERM, [&] { fleet.stop(); });
    const Watch on_int = loop.on_signal(SIGINT, [&] { fleet.stop(); });
    loop.run();
    const auto saved = fleet.save();
    fmt::print("{}\n", fleet.summary());
    if (!saved) return complain(saved.error(), 1);
    return all_there ? 0 : 1;
}

struct Words {
    std::string server, lasts = "60s", within = "10m";
};

void add_bounds(CLI::App& app, Plan& plan, Words& words) {
    app.add_option("--first", plan.first, "The number of the first node")
        ->capture_default_str()
        ->check(CLI::Range(size_t{0}, size_t{0xffffffff}));
    app.add_option("--count", plan.count, "How many nodes")
        ->capture_default_str()
        ->check(CLI::Range(size_t{1}, size_t{100000}));
    app.add_option("--for", words.lasts, "How long, from 3 s after all sessions stand")
        ->capture_default_str();
    app.add_option("--within", words.within, "How long until all sessions must stand")
        ->capture_default_str();
    app.add_option("--at-a-time", plan.at_a_time, "Enrolments or first connections under way")
        ->capture_default_str()
        ->check(CLI::Range(size_t{1}, size_t{100000}));
}

void add_deeds(CLI::App& app, Plan& plan) {
    app.add_option("--knocks", plan.knocks, "First so many bare TLS connections")
        ->check(CLI::Range(size_t{0}, size_t{1000000}));
    app.add_flag("--enrol-only", plan.enrol_only, "End when all are enrolled");
    app.add_flag("--drill", plan.drills, "Each roams, renews, restarts once; end when all did");
    app.add_flag("--share-maps", plan.shares_maps, "One full map a network");
    const auto rate = [&](const char* flag, double& of, const char* what) {
        app.add_option(flag, of, what)->check(CLI::Range(0.0, 1e6));
    };
    rate("--polls", plan.polls, "Plain polls a second, instead of held ones");
    rate("--roams", plan.roams, "New endpoints a second");
    rate("--renewals", plan.renewals, "New certificates a second");
    rate("--restarts", plan.restarts, "Dropped and new sessions a second");
}

Result<void> read_words(const Words& words, Plan& plan) {
    const auto lasts = parse_duration(words.lasts);
    if (!lasts) return failed(lasts.error().while_doing("--for"));
    const auto within = parse_duration(words.within);
    if (!within) return failed(within.error().while_doing("--within"));
    plan.lasts = *lasts;
    plan.within = *within;
    if (words.server.empty()) return {};
    auto at = Endpoint::parse(words.server);
    if (!at) return failed(at.error().while_doing("--server"));
    plan.server = *at;
    return {};
}

int start(int argc, char** argv) {
    offer_only_used_keys();
    CLI::App app{"Many nodes in one process, against a real controller: see cvlan-sim(1)."};
    Plan plan;
    Words words;
    app.set_version_flag("--version", kVersion);
    app.add_option("--token-file", plan.token_files, "A registration token; may be repeated");
    app.add_option("--prefix", plan.prefix, "Of the nodes' names")->capture_default_str();
    app.add_option("--state", plan.state_path, "Keeps the identities here, and uses those there");
    app.add_option("--server", words.server, "ADDRESS:PORT of the controller, not the token's");
    app.add_option("--samples", plan.samples_path, "Raw samples, as JSON");
    add_bounds(app, plan, words);
    add_deeds(app, plan);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsage;
    }
    if (auto read = read_words(words, plan); !read) return complain(read.error(), kUsage);
    return run(std::move(plan));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return start(argc, argv);
    } catch (const std::exception& error) {  // of a library: we throw nothing
        std::fprintf(stderr, "cvlan-sim: %s\n", error.what());
        return 1;
    }
}
