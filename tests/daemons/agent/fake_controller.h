// SPDX-License-Identifier: Apache-2.0
#pragma once

// The agent with a kernel in memory, beside a controller of few lines. Tests turn the loop until
// something is so; nothing sleeps.

#include <gtest/gtest.h>

#include "daemons/agent/agent.h"
#include "daemons/agent/local_api.h"
#include "tests/daemons/agent/support.h"
#include "tests/enrolee/fake_controller.h"
#include "tests/support/fake_host.h"

namespace cvlan::agent::testing {

using enrolee::testing::FakeController;

// One agent on a machine whose kernel is in memory and outlives it.
class Machine {
public:
    explicit Machine(EventLoop& loop) : loop_(loop) {
        underlay = {{*Prefix::parse("192.0.2.0/24")}, {*Address::parse("192.0.2.1")}, true, false};
    }

    // Starts the agent, or starts it anew on the state and the kernel that are there.
    void start() {
        agent.reset();
        AgentParts parts{loop_,
                         clock,
                         config,
                         *StateDir::open(folder.file("state")),
                         std::make_unique<Borrowed>(kernel),
                         [this] { return underlay; },
                         [](uint16_t first, const std::vector<uint16_t>& used) {
                             while (std::find(used.begin(), used.end(), first) != used.end())
                                 ++first;
                             return first;
                         }};
        parts.ask_nat64 = ask_nat64;
        parts.leads_v4 = [this] { return underlay.has_v4; };
        auto opened = Agent::open(std::move(parts));
        ASSERT_TRUE(opened) << opened.error().message;
        agent = std::move(*opened);
        agent->start();
    }
    // Turns the loop until `claim` holds; a test that waits for 5 s has failed.
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500; ++i) {
            if (claim()) return true;
            loop_.run_once(std::chrono::milliseconds(10));
        }
        return false;
    }
    Answer<local::UpResult> up(const local::UpRequest& request) {
        std::optional<Answer<local::UpResult>> answer;
        agent->up(request, [&](Answer<local::UpResult> a) { answer = std::move(a); });
        if (!until([&] { return answer.has_value(); }))
            return tl::unexpected(Refusal{Error{Code::Internal, "up did not answer"}});
        return *answer;
    }
    local::SelfState state() { return agent->status().self.state; }
    const tests::FakeHost::Device* device() {
        const auto found = kernel.devices.find(reconcile::device_name(kNetwork));
        return found == kernel.devices.end() ? nullptr : &found->second;
    }

    class Borrowed final : public reconcile::Host {
    public:
        explicit Borrowed(tests::FakeHost& host) : host_(host) {}
        Result<reconcile::Observed> observe(const reconcile::Desired& want,
                                            reconcile::Scope scope) override {
            return host_.observe(want, scope);
        }
        std::vector<reconcile::StepFailure> apply(std::span<const reconcile::Step> steps) override {
            return host_.apply(steps);
        }

    private:
        tests::FakeHost& host_;
    };

    test::TempDir folder;
    AgentConfig config;
    ManualClock clock{kNow};
    tests::FakeHost kernel;
    reach::Underlay underlay;
    AskNat64 ask_nat64{};
    std::unique_ptr<Agent> agent;

private:
    EventLoop& loop_;
};

}  // namespace cvlan::agent::testing
