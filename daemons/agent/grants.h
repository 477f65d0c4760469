// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an identity shows to relays (POST /api/v1/node/relay-grants): one grant a membership, good
// for a day, asked for anew when half of that is over and when the memberships are others. They are
// kept on disk, so that an agent which starts without its controller has them. Loop thread only.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "daemons/agent/controller.h"

namespace cvlan::agent {

class Grants {
public:
    // False: there is no session with the controller now; `done` is not called then.
    using Call = std::function<bool(Controller::Call call, Controller::Done done)>;
    struct Setup {
        const Clock& clock;
        Call call;
        std::function<void()> on_new;  // json() is another; from the loop
        uint32_t seed = 1;
        std::string path{};  // where they are kept; empty: nowhere
    };
    explicit Grants(Setup setup);

    // Asks if that is due. `memberships` names the networks and keys they are for.
    void step(const std::string& memberships);
    // A session of the controller may have ended, and takes a request under way with it.
    void session_ended();
    // When step() has something to do, by the boot clock.
    BootTime due() const { return due_; }

    // JSON of SignedBytes, as relays take it. None before the first answer, and none that is over.
    const std::vector<std::string>& json() const { return json_; }

private:
    void answered(const Answer<http::Response>& answer, const std::string& memberships);
    Result<void> take(const std::string& body);
    Result<std::chrono::milliseconds> left(const std::string& json) const;
    void load();
    void save();

    Setup setup_;
    Backoff backoff_;
    std::vector<std::string> json_;
    std::string memberships_;  // that json_ is for
    std::string asked_for_;    // by the request under way
    std::string trouble_;
    BootTime due_{0};
    BootTime ends_{0};
    // Its answer may come when this is gone.
    std::shared_ptr<bool> is_here_ = std::make_shared<bool>(true);
    uint64_t request_ = 0;
};

}  // namespace cvlan::agent
