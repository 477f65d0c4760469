// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/run.h"

#include <linux/rtnetlink.h>
#include <pwd.h>

#include <cstdlib>
#include <memory>
#include <utility>
#include <variant>

#include "base/log.h"
#include "base/program.h"
#include "base/version.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/config.h"
#include "daemons/agent/local_api.h"
#include "daemons/agent/pages.h"
#include "daemons/agent/underlay.h"
#include "netlink/monitor.h"
#include "reconcile/kernel_host.h"
#include "reconcile/marks.h"
#include "reconcile/reconciler.h"
#include "reconcile/tenant_host.h"
#include "xfrm/client.h"
#include "xfrm/monitor.h"

namespace cvlan::agent {

namespace {

struct Flags {
    std::optional<std::string> socket;
    bool bootstrap = false;
    bool teardown = false;
};

// A configuration that can not be used here wants a human; a lock or a full disk may pass.
int status_of(const Error& error) {
    switch (error.sys_errno) {
        case ENOTDIR:
        case ENAMETOOLONG:
        case ELOOP:
        case EROFS:
            return kConfiguration;
    }
    return error.code == Code::Denied || error.code == Code::Invalid ? kConfiguration : kFailed;
}

// A kernel that shows nothing and takes nothing: what a plan is made against where there is no
// WireGuard or no right to ask.
class EmptyHost final : public reconcile::Host {
public:
    Result<reconcile::Observed> observe(const reconcile::Desired&,
                                        reconcile::Scope scope) override {
        reconcile::Observed nothing;
        nothing.scope = scope;
        return nothing;
    }
    std::vector<reconcile::StepFailure> apply(std::span<const reconcile::Step>) override {
        return {};
    }
};

Result<AgentParts> parts_of(EventLoop& loop, const Clock& clock, const AgentConfig& config,
                            std::unique_ptr<reconcile::Host> host) {
    auto dir = StateDir::open(config.state_dir);
    if (!dir) return failed(dir.error());
    auto socket = netlink::Socket::open(NETLINK_ROUTE);
    if (!socket) return failed(socket.error().while_doing("rtnetlink"));
    auto shared = std::make_shared<netlink::Socket>(std::move(*socket));
    return AgentParts{.loop = loop,
                      .clock = clock,
                      .config = config,
                      .dir = std::move(*dir),
                      .host = std::move(host),
                      .read_underlay = [shared] { return agent::read_underlay(*shared); },
                      .free_port = free_udp_port,
                      .read_gateway = [shared] { return agent::read_gateway(*shared); },
                      .ask_nat64 = ask_resolver(loop),
                      .leads_v4 = leads_v4};
}

Result<netlink::Monitor> open_monitor(const netlink::NetnsFd& netns) {
    return netlink::Monitor::open(
        NETLINK_ROUTE, netns,
        {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
         RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE});
}

// The user of the package's unit; without it, charon is root's or our own.
vici::SocketAt charon_of(const AgentConfig& config) {
    vici::SocketAt at{config.charon_socket, {}};
    if (const passwd* user = getpwnam("cvlan-charon")) at.owner = user->pw_uid;
    return at;
}

Result<xfrm::Client> open_states() {
    auto netns = netlink::NetnsFd::current();
    if (!netns) return failed(netns.error());
    return xfrm::Client::open(*netns);
}

// Hearing of IPsec makes the kernel load it, so it is not begun before there is a network that
// needs it. Foreign tunnels are none of ours.
std::shared_ptr<void> watch_tunnels(EventLoop& loop, AgentParts::Waits waits) {
    struct Watching {
        xfrm::Monitor monitor;
        AgentParts::Waits waits;
        Watch watch{};
    };
    auto netns = netlink::NetnsFd::current();
    if (!netns) return nullptr;
    auto monitor = xfrm::Monitor::open(*netns);
    if (!monitor) {
        log::warn("agent.monitor_failed", {{"error", monitor.error().message}});
        return nullptr;
    }
    auto made = std::make_shared<Watching>(Watching{std::move(*monitor), std::move(waits)});
    made->watch = loop.on_readable(made->monitor.fd(), [raw = made.get()] {
        (void)raw->monitor.read([raw](const xfrm::Event& event) {
            const auto* acquire = std::get_if<xfrm::Acquire>(&event);
            if (acquire && reconcile::is_our_if_id(acquire->if_id))
                raw->waits(acquire->packet.destination.address());
        });
    });
    return made;
}

// What tells that a namespace's links, addresses, routes or rules are not as they were.
class Monitors {
public:
    explicit Monitors(EventLoop& loop) : loop_(loop) {}

    Result<void> add(const netlink::NetnsFd& netns) {
        auto monitor = open_monitor(netns);
        if (!monitor) return failed(monitor.error().while_doing("monitor"));
        auto& one = *open_.emplace_back(std::make_unique<One>(One{std::move(*monitor), {}}));
        one.watch = loop_.on_readable(one.monitor.fd(), [this, &one] {
            auto heard = one.monitor.read();
            if (!heard) log::warn("agent.monitor_failed", {{"error", heard.error().message}});
            if (heard && heard->overrun)
                log::warn("agent.monitor_overrun", {{"count", one.monitor.overruns()}});
            if (changed) changed();
        });
        return {};
    }
    std::function<void()> changed{};

private:
    struct One {
        netlink::Monitor monitor;
        Watch watch;
    };
    EventLoop& loop_;
    std::vector<std::unique_ptr<One>> open_;
};

Result<std::unique_ptr<reconcile::Host>> open_host(const AgentConfig& config, Monitors* monitors) {
    if (config.tenants_apart)
        return reconcile::TenantHost::open([monitors](const netlink::NetnsFd& netns) {
            if (monitors == nullptr) return;
            if (auto added = monitors->add(netns); !added)
                log::warn("agent.monitor_failed", {{"error", added.error().message}});
        });
    auto netns = netlink::NetnsFd::current();
    if (!netns) return failed(netns.error());
    auto host = reconcile::KernelHost::open(*netns);
    if (!host) return failed(host.error());
    return std::make_unique<reconcile::KernelHost>(std::move(*host));
}

int serve(const Program& program, const AgentConfig& config) {
    auto netns = netlink::NetnsFd::current();
    if (!netns) return program.fail_with(netns.error(), kFailed);
    EventLoop loop;
    Monitors monitors(loop);
    // Before anything else is touched: a kernel that can not do it gets no half set-up (F63).
    auto host = open_host(config, &monitors);
    if (!host)
        return program.fail_with(host.error(),
                                 host.error().code == Code::Unsupported ? kConfiguration : kFailed);
    const SystemClock clock;
    auto parts = parts_of(loop, clock, config, std::move(*host));
    if (!parts) return program.fail_with(parts.error(), status_of(parts.error()));
    if (auto added = monitors.add(*netns); !added) return program.fail_with(added.error(), kFailed);
    parts->make_keeper = [&clock, at = charon_of(config)](std::function<void()> on_round) {
        return std::make_unique<ike::Keeper>(
            ike::Keeper::Parts{clock, at, open_states, std::move(on_round)});
    };
    parts->watch_tunnels = [&loop](AgentParts::Waits waits) {
        return watch_tunnels(loop, std::move(waits));
    };
    parts->sockets = std::make_unique<KernelSockets>(loop, std::move(*netns));
    auto opened = Agent::open(std::move(*parts));
    if (!opened) return program.fail_with(opened.error(), kFailed);
    Agent& agent = **opened;
    auto api = LocalApi::listen(loop, agent, config);
    if (!api) return program.fail_with(api.error(), kFailed);

    std::optional<Pages> pages;
    if (config.metrics)
        pages.emplace(loop, *config.metrics,
                      http::OwnPages{[&agent] { return agent.metrics(); },
                                     [&agent] { return agent.is_ready(); }});

    monitors.changed = [&agent] { agent.kernel_changed(); };
    agent.start();
    log::info("agent.ready", {{"version", kVersion}, {"socket", config.socket}});
    run_until_told(loop, [](const std::function<void()>& done) { done(); });
    log::info("agent.stopped", {});
    return 0;
}

// Enrols, polls once, prints what would be done. Needs no capability and changes nothing.
int bootstrap(const Program& program, const AgentConfig& config) {
    std::unique_ptr<reconcile::Host> host = std::make_unique<EmptyHost>();
    // A vrouter's namespaces would be made by looking at them.
    if (!config.tenants_apart)
        if (auto kernel = open_host(config, nullptr)) host = std::move(*kernel);
    EventLoop loop;
    const SystemClock clock;
    auto parts = parts_of(loop, clock, config, std::move(host));
    if (!parts) return program.fail_with(parts.error(), status_of(parts.error()));
    auto opened = Agent::open(std::move(*parts));
    if (!opened) return program.fail_with(opened.error(), kFailed);
    Agent& agent = **opened;

    std::optional<int> status;
    const char* token = std::getenv("CVLAN_TOKEN");
    const auto finish = [&](int with) {
        status = with;
        loop.stop();
    };
    agent.bootstrap(token ? token : "", [&](const Answer<local::PlanView>& plan) {
        if (!plan) return finish(program.fail_with(plan.error().error, kFailed));
        for (const std::string& line : plan->steps) fmt::print("{}\n", line);
        finish(0);
    });
    if (!status) loop.run();  // it may have ended at once, and a loop is stopped only while it runs
    return status.value_or(kFailed);
}

int teardown_tenants(const Program& program) {
    auto host = reconcile::TenantHost::open({});
    if (!host && host.error().code == Code::Unsupported) return 0;
    if (!host) return program.fail_with(host.error(), kFailed);
    const auto problems = (*host)->teardown();
    for (const std::string& problem : problems)
        fmt::print(stderr, "{}: {}\n", program.name(), problem);
    return problems.empty() ? 0 : kFailed;
}

// For the removal of the package: wants nothing, once. Needs no configuration and no agent.
int teardown(const Program& program, const AgentProgram& kind) {
    if (kind.defaults.tenants_apart) return teardown_tenants(program);
    auto netns = netlink::NetnsFd::current();
    if (!netns) return program.fail_with(netns.error(), kFailed);
    auto host = reconcile::KernelHost::open(*netns);
    // Where there is no WireGuard nothing is ours.
    if (!host && host.error().code == Code::Unsupported) return 0;
    if (!host) return program.fail_with(host.error(), kFailed);
    auto done = reconcile::converge(*host, {});
    if (!done) return program.fail_with(done.error(), kFailed);
    for (const std::string& problem : done->last.problems())
        fmt::print(stderr, "{}: {}\n", program.name(), problem);
    return done->last.converged() ? 0 : kFailed;
}

int run(const Program& program, const AgentProgram& kind, const Flags& flags) {
    if (flags.teardown) return teardown(program, kind);
    const ProgramFlags& common = program.flags();
    auto config = load_config(
        common.config, {common.state_dir, flags.socket, common.log_level},
        [](const char* name) -> const char* { return std::getenv(name); }, kind.defaults);
    if (!config) return program.fail_with(config.error(), kConfiguration);
    if (common.print_config) {
        fmt::print("{}", print_config(*config));
        return 0;
    }
    if (auto usable = check_machine(*config); !usable)
        return program.fail_with(usable.error(), kConfiguration);
    if (common.check_config) return 0;
    begin_work(config->log_level);
    return flags.bootstrap ? bootstrap(program, *config) : serve(program, *config);
}

void add_flags(CLI::App& app, Flags& flags) {
    app.add_option("--socket", flags.socket, "instead of the configuration's");
    app.add_flag("--bootstrap", flags.bootstrap,
                 "enrol with $CVLAN_TOKEN, ask for the map once, print the plan; change nothing");
    app.add_flag("--teardown", flags.teardown,
                 "take all of CloudVLAN's tunnels away from this machine and end");
}

}  // namespace

int run_program(int argc, char** argv, const AgentProgram& kind) {
    Flags flags;
    Program program(kind.name, kind.config_path);
    return program.main(argc, argv,
                        {.title = kind.title,
                         .add_flags = [&](CLI::App& app) { add_flags(app, flags); },
                         .run = [&] { return run(program, kind, flags); }});
}

}  // namespace cvlan::agent
