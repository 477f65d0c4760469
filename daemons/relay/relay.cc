// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/relay.h"

#include <algorithm>

#include "base/log.h"
#include "http/own_pages.h"

namespace cvlan::relayd {

using namespace std::chrono_literals;

Relay::Relay(EventLoop& loop, const Clock& clock, RelayConfig config, StateDir dir,
             std::unique_ptr<relay::PairHost> host)
    : loop_(loop),
      clock_(clock),
      config_(std::move(config)),
      dir_(std::move(dir)),
      host_(std::move(host)) {}

Relay::~Relay() {
    if (server_) server_->set_pair_desk(nullptr);
}

Result<std::unique_ptr<Relay>> Relay::start(EventLoop& loop, const Clock& clock, RelayConfig config,
                                            std::unique_ptr<relay::PairHost> host) {
    auto dir = StateDir::open(config.state_dir);
    if (!dir) return failed(dir.error());
    std::unique_ptr<Relay> made(
        new Relay(loop, clock, std::move(config), std::move(*dir), std::move(host)));
    auto identities = made->dir_.load_identities();
    if (!identities) return failed(identities.error());
    for (Identity& identity : *identities) {
        if (!identity.is_enrolled()) continue;
        // Once a turn, whoever it comes from: a change may come out of a call of what would end.
        made->members_.push_back(std::make_unique<Membership>(
            loop, clock, made->dir_, std::move(identity), [self = made.get()] {
                self->applying_ = self->loop_.after(0ms, [self] { self->apply(); });
            }));
    }
    if (made->members_.empty())
        return fail(Code::NotFound, "{}: no tenant; see `cvlan-relay enrol`",
                    made->config_.state_dir);
    for (const auto& member : made->members_) member->start();
    if (auto listening = made->listen(); !listening) return failed(listening.error());
    return made;
}

http::TlsServerNames Relay::names() const {
    http::TlsServerNames all;
    for (const auto& member : members_) all.emplace(member->server_name(), member->tls());
    return all;
}

std::vector<relay::TenantTrust> Relay::tenants() const {
    std::vector<relay::TenantTrust> all;
    for (const auto& member : members_)
        if (auto trust = member->trust()) all.push_back(std::move(*trust));
    return all;
}

// As the first tenant's relay object has them, one a family. They are one machine's in all.
std::vector<Address> Relay::addresses() const {
    std::vector<Address> found;
    for (const auto& member : members_) {
        const model::MapRelay* own = member->own_relay();
        if (!own) continue;
        for (const Endpoint& endpoint : own->endpoints)
            if (std::none_of(found.begin(), found.end(), [&](const Address& one) {
                    return one.family() == endpoint.address.family();
                }))
                found.push_back(endpoint.address);
    }
    return found;
}

Result<void> Relay::listen() {
    relay::ServerOptions options;
    options.at = config_.listen;
    options.tls = names();
    options.tenants = tenants();
    options.limits = config_.limits;
    options.http.connections = config_.limits.sessions;
    auto server = relay::Server::listen(loop_, clock_, std::move(options));
    if (!server) return failed(server.error());
    server_ = std::move(*server);
    if (auto udp = listen_udp(); !udp) return udp;
    if (auto metrics = listen_metrics(); !metrics) return metrics;
    apply();
    return {};
}

Result<void> Relay::listen_udp() {
    stun_ = std::make_unique<relay::StunServer>(
        loop_, [this](const stun::Message& request, const Endpoint& from, const Endpoint& to,
                      std::span<uint8_t> answer) {
            return pairs_ ? pairs_->bind(request, from, to, answer) : size_t{0};
        });
    for (const uint16_t port : config_.stun_ports) {
        for (const char* any : {"0.0.0.0", "::"}) {
            auto listening = stun_->listen({*Address::parse(any), port});
            if (listening || listening.error().sys_errno == EAFNOSUPPORT) continue;
            // QUIC of a web server may have 443: the first port is the one that nodes are told.
            if (port == config_.stun_ports.front()) return failed(listening.error());
            log::warn("relay.port_taken", {{"port", port}, {"error", listening.error().message}});
        }
    }
    if (!host_ || !config_.udp_relaying) return {};
    relay::Pairs::Hooks hooks{
        [this](uint64_t session, ByteView frames) { server_->tell(session, frames); },
        [this](uint16_t port) { return stun_->open_port(port); },
        [this](uint16_t port) { stun_->close_port(port); }};
    pairs_ = std::make_unique<relay::Pairs>(clock_, *host_, std::move(hooks), addresses(),
                                            config_.pairs);
    if (auto adopted = pairs_->adopt(); !adopted)
        return failed(adopted.error().while_doing("pairs in the kernel"));
    server_->set_pair_desk(pairs_.get());
    sweeping_ = loop_.every(5s, [this] { pairs_->sweep(); });
    looking_ = loop_.every(30s, [this] {
        if (auto looked = host_->look(); !looked)
            log::error("relay.kernel_failed", {{"error", looked.error().message}});
    });
    return {};
}

void Relay::apply() {
    if (auto updated = server_->update_tls(names()); !updated)
        log::error("relay.certificate_unusable", {{"error", updated.error().message}});
    server_->set_tenants(tenants());
    const std::vector<Address> own = addresses();
    std::vector<Endpoint> stun;
    for (const Address& address : own) stun.push_back({address, config_.stun_ports.front()});
    server_->set_stun(std::move(stun));
    if (pairs_) pairs_->set_addresses(own);
}

Result<void> Relay::listen_metrics() {
    if (!config_.metrics) return {};
    auto server = http::listen_own_pages(
        loop_, *config_.metrics, {[this] { return metrics(); }, [this] { return is_ready(); }});
    if (!server) return failed(server.error());
    metrics_server_ = std::move(*server);
    return {};
}

std::optional<Endpoint> Relay::metrics_endpoint() const {
    if (!metrics_server_) return std::nullopt;
    return metrics_server_->endpoint();
}

bool Relay::is_ready() const {
    return std::all_of(members_.begin(), members_.end(),
                       [](const auto& member) { return member->map().has_value(); });
}

void Relay::drain(std::function<void()> done) { server_->drain(std::move(done)); }

}  // namespace cvlan::relayd
