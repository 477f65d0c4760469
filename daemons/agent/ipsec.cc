// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/ipsec.h"

#include <algorithm>

namespace cvlan::agent {

namespace {

std::optional<std::string> place(const std::string& host, uint16_t port) {
    auto address = Address::parse(host);
    if (!address) return std::nullopt;
    return Endpoint{*address, port}.text();
}

// Times of charon's may be due already.
std::optional<int64_t> count(const std::optional<vici::Seconds>& time) {
    if (!time) return std::nullopt;
    return std::max<int64_t>(time->count(), 0);
}

void show_ike(const vici::IkeSa& ike, local::IpsecTunnel& row) {
    row.ike_version = static_cast<int64_t>(std::min<uint32_t>(ike.version, 2));
    row.local_identity = ike.local_id;
    row.remote_identity = ike.remote_id;
    row.local_endpoint = place(ike.local_host, ike.local_port);
    row.remote_endpoint = place(ike.remote_host, ike.remote_port);
    row.initiator = ike.initiator;
    row.ike_spis = fmt::format("{:016x} {:016x}", ike.initiator_spi, ike.responder_spi);
    row.nat_local = ike.nat_local;
    row.nat_remote = ike.nat_remote;
    row.mobike = true;  // all connections of ours ask for it (ike/wanted.cc)
    if (!ike.encr_alg.empty())
        row.ike_cipher =
            fmt::format("{}-{}, {}, {}", ike.encr_alg, ike.encr_keysize, ike.prf_alg, ike.dh_group);
    row.ike_age_seconds = count(ike.established);
    row.ike_rekey_in_seconds = count(ike.rekey_time);
}

}  // namespace

Ipsec::Ipsec(Parts parts) : parts_(std::move(parts)) {}

void Ipsec::follow(std::shared_ptr<const ike::Wanted> want, bool is_wanted, std::string trouble) {
    is_wanted_ = is_wanted;
    trouble_ = std::move(trouble);
    if (is_wanted_ && !keeper_ && parts_.make_keeper)
        keeper_ = parts_.make_keeper([this, alive = std::weak_ptr<bool>(alive_)] {
            parts_.loop.post([this, alive] {
                if (alive.lock()) round_ended();
            });
        });
    if (is_wanted_ && !watch_ && parts_.watch) watch_ = parts_.watch(parts_.on_packet);
    if (keeper_) keeper_->set(std::move(want));
}

void Ipsec::look() {
    if (keeper_) keeper_->look();
}

void Ipsec::round_ended() {
    const auto now = status();
    if (now && now->trouble.empty()) has_seen_ = true;
    parts_.on_news();
}

void Ipsec::add_health(std::vector<local::HealthItem>& items) const {
    if (!is_wanted_) return;
    if (!trouble_.empty()) items.push_back({"IPSEC", "error", trouble_});
    const auto now = status();
    if (!now) return;
    if (!now->trouble.empty())
        items.push_back(
            {"IPSEC", "error",
             "charon is not to be had, so nothing new comes up over IPsec: " + now->trouble});
    for (const std::string& problem : now->problems) items.push_back({"IPSEC", "error", problem});
}

void Ipsec::ask(ike::Ask::What what, const std::string& connection,
                std::function<void(Answer<uint32_t>)> done) {
    if (!is_used())
        return done(tl::unexpected(
            Refusal{Error{Code::Unavailable, "no network of this node is over IPsec"}}));
    auto answer = [this, alive = std::weak_ptr<bool>(alive_),
                   done = std::move(done)](const Result<uint32_t>& sas) {
        parts_.loop.post([alive, done, sas] {
            if (!alive.lock()) return;
            if (sas) return done(*sas);
            done(tl::unexpected(Refusal{sas.error()}));
        });
    };
    keeper_->ask({what, connection, std::move(answer)});
}

local::IpsecTunnel tunnel_row(const TunnelOf& of, const TunnelsSeen& tunnels) {
    local::IpsecTunnel row;
    row.peer = of.peer.name;
    row.peer_id = of.peer.node_id;
    row.network_id = of.network_id;
    row.network = of.network.name;
    for (const Address& address : of.peer.addresses) row.addresses.push_back(address.text());
    row.crypto_profile = text(of.network.crypto_profile);
    row.state = local::IpsecState::Idle;
    const TunnelSeen seen = tunnels.of(of.peer.node_id, of.network_id);
    if (tunnels.is_called(of.peer.node_id)) row.state = local::IpsecState::Connecting;
    if (seen.ike) show_ike(*seen.ike, row);
    if (!seen.child) return row;
    const vici::ChildSa& child = *seen.child;
    row.state = local::IpsecState::Up;
    row.cipher = cipher_text(seen);
    row.in_udp = child.encap;
    row.spi_in = fmt::format("{:08x}", child.spi_in);
    row.spi_out = fmt::format("{:08x}", child.spi_out);
    row.rx_bytes = static_cast<int64_t>(child.in.bytes);
    row.tx_bytes = static_cast<int64_t>(child.out.bytes);
    row.age_seconds = count(child.install_time);
    row.rekey_in_seconds = count(child.rekey_time);
    return row;
}

}  // namespace cvlan::agent
