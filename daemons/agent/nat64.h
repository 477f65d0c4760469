// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node behind a NAT64 (reach/nat64.h). The agent knows of it at its edges alone: what the kernel
// and the raw sockets get is IPv6, what the rest of the agent says, and tells others, is IPv4, as
// if the machine was behind a NAT of IPv4. Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/event_loop.h"
#include "daemons/agent/path_sockets.h"
#include "http/lookup.h"
#include "reach/nat64.h"
#include "reconcile/host.h"

namespace cvlan::agent {

// Who shares it sees when it changes; never null.
using SharedNat64 = std::shared_ptr<const std::optional<reach::Nat64>>;

class Nat64Host final : public reconcile::Host {
public:
    Nat64Host(std::unique_ptr<reconcile::Host> inner, SharedNat64 nat64)
        : inner_(std::move(inner)), nat64_(std::move(nat64)) {}
    Result<reconcile::Observed> observe(const reconcile::Desired& want,
                                        reconcile::Scope scope) override;
    std::vector<reconcile::StepFailure> apply(std::span<const reconcile::Step> steps) override;

private:
    std::unique_ptr<reconcile::Host> inner_;
    SharedNat64 nat64_;
};

class Nat64Sockets final : public PathSockets {
public:
    Nat64Sockets(std::unique_ptr<PathSockets> inner, SharedNat64 nat64)
        : inner_(std::move(inner)), nat64_(std::move(nat64)) {}
    void set_receiver(Came came) override;
    void set(const std::map<std::string, uint16_t>& ports) override { inner_->set(ports); }
    bool send(const std::string& device, const reach::RawUdp::Outgoing& datagram) override;
    std::string trouble() const override { return inner_->trouble(); }

private:
    std::unique_ptr<PathSockets> inner_;
    SharedNat64 nat64_;
};

// Asks for the IPv6 addresses of that name; what it returns is held until the answer, or let go.
using AskNat64 = std::function<std::shared_ptr<void>(http::Lookup::Done done)>;
AskNat64 ask_resolver(EventLoop& loop);

// Finds the prefix, where one is needed: at once, again when this machine's addresses are others,
// and each hour. Where the resolvers know of none, or do not answer, a minute later at most.
class Nat64Search {
public:
    Nat64Search(EventLoop& loop, uint32_t seed, AskNat64 ask, std::function<void()> on_change);
    void look(bool is_needed, const std::vector<Address>& own);
    const std::optional<reach::Nat64>& found() const { return found_; }

private:
    void ask();
    void answered(const Result<std::vector<Address>>& answers);

    EventLoop& loop_;
    AskNat64 ask_;
    std::function<void()> on_change_;
    Backoff backoff_;
    bool is_needed_ = false;
    std::vector<Address> own_;
    std::optional<reach::Nat64> found_;
    std::shared_ptr<void> question_;
    Timer next_;
};

}  // namespace cvlan::agent
