// SPDX-License-Identifier: Apache-2.0
#pragma once

// `cvlan-relay enrol`: one request with a token. The key is on the disk before it is sent, and a
// second attempt uses the same one, so that a crash in between leaves nothing behind.

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "daemons/relay/enrolment.h"
#include "enrolee/controller.h"

namespace cvlan::relayd {

class Enrolling {
public:
    // The name that the controller has given, or why not.
    using Done = std::function<void(Result<std::string>)>;
    Enrolling(EventLoop& loop, const StateDir& dir, Done done)
        : loop_(loop), dir_(dir), done_(std::move(done)) {}

    // Fails where there is nothing to be asked; else `done` runs from the loop.
    Result<void> begin(const std::string& token, const std::string& name);

private:
    Result<std::string> take(const enrolee::Answer<http::Response>& answer);

    EventLoop& loop_;
    const StateDir& dir_;
    Done done_;
    Identity identity_;
    std::unique_ptr<enrolee::Controller> controller_;
};

}  // namespace cvlan::relayd
