// SPDX-License-Identifier: Apache-2.0
#pragma once

// api/local.yaml as typed calls: what cvlanctl asks the agent of its own machine.

#include <chrono>
#include <string>

#include "api/client/transport.h"
#include "model/local.h"

namespace cvlan::client {

namespace local = model::local;

class Agent {
public:
    // `socket` is a path. Nothing is connected yet.
    static Result<Agent> open(const std::string& socket);

    Result<local::Status> status();
    Result<local::PlanView> plan();
    // Blocks for up to request.wait_seconds.
    Result<local::UpResult> up(const local::UpRequest& request);
    Result<local::DownResult> down();
    Result<local::LogoutResult> logout();
    Result<local::PingResult> ping(const local::PingRequest& request);
    Result<local::NetcheckReport> netcheck();
    Result<local::IpsecList> ipsec();
    Result<local::IpsecResult> ipsec_rekey(const local::IpsecRequest& request);
    Result<local::IpsecResult> ipsec_terminate(const local::IpsecRequest& request);

private:
    explicit Agent(Transport transport) : transport_(std::move(transport)) {}
    template <class T>
    Result<T> call(Call request);

    Transport transport_;
};

}  // namespace cvlan::client
