// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/nat64.h"

#include <sys/socket.h>

#include "base/log.h"

namespace cvlan::agent {

namespace {

// RFC 7050 section 3: before the records are too old. evdns does not tell how old they may be.
constexpr std::chrono::milliseconds kAgain{3'600'000};

}  // namespace

Result<reconcile::Observed> Nat64Host::observe(const reconcile::Desired& want,
                                               reconcile::Scope scope) {
    auto observed = inner_->observe(want, scope);
    if (!observed || !*nat64_) return observed;
    for (wg::Device& device : observed->wireguard)
        for (wg::Peer& peer : device.peers) {
            if (!peer.endpoint) continue;
            // IPv4 itself, from before the prefix was known: nothing is sent there, so there is
            // none.
            if (reach::Nat64::carries(peer.endpoint->address))
                peer.endpoint.reset();
            else
                peer.endpoint = (*nat64_)->as_known(*peer.endpoint);
        }
    return observed;
}

std::vector<reconcile::StepFailure> Nat64Host::apply(std::span<const reconcile::Step> steps) {
    if (!*nat64_) return inner_->apply(steps);
    std::vector<reconcile::Step> sent(steps.begin(), steps.end());
    for (reconcile::Step& step : sent)
        if (auto* peer = std::get_if<reconcile::SetPeer>(&step); peer && peer->endpoint)
            peer->endpoint = (*nat64_)->to_send(*peer->endpoint);
    return inner_->apply(sent);
}

void Nat64Sockets::set_receiver(Came came) {
    inner_->set_receiver([this, came = std::move(came)](const std::string& device,
                                                        const reach::RawUdp::Incoming& datagram) {
        if (!*nat64_) return came(device, datagram);
        reach::RawUdp::Incoming known = datagram;
        known.from = (*nat64_)->as_known(datagram.from);
        came(device, known);
    });
}

bool Nat64Sockets::send(const std::string& device, const reach::RawUdp::Outgoing& datagram) {
    if (!*nat64_) return inner_->send(device, datagram);
    reach::RawUdp::Outgoing sent = datagram;
    sent.to = (*nat64_)->to_send(datagram.to);
    return inner_->send(device, sent);
}

AskNat64 ask_resolver(EventLoop& loop) {
    return [&loop](http::Lookup::Done done) -> std::shared_ptr<void> {
        return std::make_shared<http::Lookup>(loop, std::string(reach::kIpv4OnlyName), AF_INET6,
                                              std::move(done));
    };
}

Nat64Search::Nat64Search(EventLoop& loop, uint32_t seed, AskNat64 ask,
                         std::function<void()> on_change)
    : loop_(loop), ask_(std::move(ask)), on_change_(std::move(on_change)), backoff_(seed) {}

// What was found is kept until the answer here is another.
void Nat64Search::look(bool is_needed, const std::vector<Address>& own) {
    const bool is_same = is_needed == is_needed_ && own == own_;
    is_needed_ = is_needed;
    own_ = own;
    if (is_same) return;
    backoff_.reset();
    if (is_needed) return ask();
    found_.reset();
    question_.reset();
    next_.cancel();
}

void Nat64Search::ask() {
    next_.cancel();
    question_ = ask_([this](const Result<std::vector<Address>>& answers) { answered(answers); });
}

void Nat64Search::answered(const Result<std::vector<Address>>& answers) {
    question_.reset();
    const bool is_told = answers || answers.error().code == Code::NotFound;
    const auto seen = answers ? reach::Nat64::found_in(*answers) : std::nullopt;
    if (seen) backoff_.reset();
    next_ = loop_.after(seen ? kAgain : backoff_.next(), [this] { ask(); });
    if (!is_told || seen == found_) return;
    found_ = seen;
    log::info("agent.nat64", {{"prefix", found_ ? found_->prefix().text() : "none"}});
    on_change_();
}

}  // namespace cvlan::agent
