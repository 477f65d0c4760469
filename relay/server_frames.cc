// SPDX-License-Identifier: Apache-2.0
// What each frame of a client does.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "relay/server_state.h"

namespace cvlan::relay {

// Turns that end late would send what has waited long enough: with so many blocks out, it goes.
constexpr size_t kBlocksATurn = 512;

// From so many packets between two sweeps on.
constexpr uint32_t kBusyFrom = 16;

void Server::State::on_turn(Session& session) {
    if (!std::exchange(is_in_turn, true)) {
        now = clock.since_boot();
        event_active(&turn_event, EV_TIMEOUT, 0);
    }
    session.heard_at = now;
    session.tenant().packets.refill(now);
    session.tenant().bytes.refill(now);
}

bool Server::State::on_frame(Session& session, const Frame& frame) {
    if (session.is_over) return false;
    bool is_well_formed = true;
    switch (frame.type) {
        case FrameType::Send:
            is_well_formed = forward(session, frame.body);
            break;
        case FrameType::Grant:
            is_well_formed = take_grant(session, frame.body);
            break;
        case FrameType::Ping:
            is_well_formed = answer_ping(session, frame.body);
            break;
        case FrameType::Pair:
        case FrameType::Unpair:
            is_well_formed = take_pair(session, frame);
            break;
        default:
            break;
    }
    if (is_well_formed) return true;
    session.last_words(Fault::Malformed, "a frame is too short");
    return false;
}

bool Server::State::forward(Session& from, ByteView body) {
    if (body.size() < wg::kKeySize) return false;
    std::array<uint8_t, wg::kKeySize> bytes;
    std::memcpy(bytes.data(), body.data(), bytes.size());
    const Key key(bytes);
    const ByteView payload = body.subspan(bytes.size());
    Tenant& tenant = from.tenant();
    if (!tenant.packets.take(1) || !tenant.bytes.take(payload.size())) {
        ++counts.dropped_limit;
        return true;
    }
    Place* place = tenant.find(key);
    const Granted* as = place ? from.grant_in(place->network) : nullptr;
    if (!as) {
        ++(place ? counts.dropped_no_grant : counts.dropped_not_here);
        // Of a network that it is not in a node learns no more than of a key that nobody has.
        tell_not_here(from, key);
        return true;
    }
    if (!place->session->add_packet(FrameType::Recv, as->key, payload)) {
        ++counts.dropped_memory;
        return true;
    }
    place->heard_from(from.id());
    ++counts.packets;
    counts.bytes += payload.size();
    note_packet(from);
    note_packet(*place->session);
    mark_due(*place->session);
    if (shared.pool.out() > kBlocksATurn) send_due();
    return true;
}

// OpenSSL gives a connection's buffers back behind each record, so that an idle one has none. That
// costs 110 to 140 ns a packet, in and out: who is busy keeps them.
void Server::State::note_packet(Session& session) {
    if (++session.lately < kBusyFrom || session.is_busy) return;
    if (busy >= options.limits.busy_sessions) return;
    ++busy;
    session.is_busy = true;
    session.keep_buffers(true);
}

void Server::State::look_at_rest(Session& session) {
    const bool is_at_rest = std::exchange(session.lately, 0) < kBusyFrom;
    if (!session.is_busy || !is_at_rest) return;
    --busy;
    session.is_busy = false;
    session.keep_buffers(false);
}

void Server::State::tell_not_here(Session& from, const Key& peer) {
    if (!from.may_tell_gone(peer, now)) return;
    put_peer_gone(from.control(), {peer, Gone::NotHere});
    mark_due(from);
}

bool Server::State::answer_ping(Session& session, ByteView body) {
    const auto ping = parse_ping(body);
    if (!ping) return false;
    put_ping(session.control(), FrameType::Pong, *ping);
    mark_due(session);
    return true;
}

bool Server::State::take_grant(Session& session, ByteView json) {
    auto grant =
        verify_grant(as_text(json), session.tenant().trust, session.node_id(), clock.now());
    if (!grant) {
        ++counts.grants_refused;
        const std::string& tenant_id = session.tenant().trust.tenant_id;
        if (const auto left_out = warnings.due("grant_refused " + tenant_id))
            log::info("relay.grant_refused", {{"tenant", tenant_id},
                                              {"node", session.node_id()},
                                              {"error", grant.error().message},
                                              {"left_out", *left_out}});
        put_refusal(session.control(), {Fault::GrantRefused, grant.error().message});
    } else {
        ++counts.grants;
        use_grant(session, *grant);
        put_key(session.control(), FrameType::Granted, grant->key);
    }
    mark_due(session);
    return true;
}

void Server::State::use_grant(Session& session, const Grant& grant) {
    Tenant& tenant = session.tenant();
    const uint32_t network = tenant.network_number(grant.network_id);
    // One key a network: a new one takes the place of the old.
    const std::vector<Granted> held = session.grants;
    for (const Granted& old : held)
        if (old.network == network && old.key != grant.key) drop_grant(session, old);
    std::erase_if(session.grants, [&](const auto& one) { return one.key == grant.key; });
    session.grants.push_back({network, grant.key, grant.expires_at});
    const auto [place, is_new] = tenant.places.try_emplace(grant.key);
    if (is_new) ++counts.keys;
    Session* before = std::exchange(place->second.session, &session);
    if (before && before != &session)
        std::erase_if(before->grants, [&](const auto& one) { return one.key == grant.key; });
    place->second.network = network;
    if (desk) desk->granted(asker_of(session, session.grants.back()), grant.key);
}

bool Server::State::take_pair(Session& session, const Frame& frame) {
    const auto pair = parse_pair(frame.body);
    if (!pair) return false;
    const auto own = std::find_if(session.grants.begin(), session.grants.end(),
                                  [&](const auto& one) { return one.key == pair->own; });
    if (desk && own != session.grants.end()) {
        const PairDesk::Asker asker = asker_of(session, *own);
        frame.type == FrameType::Pair ? desk->pair(asker, *pair) : desk->unpair(asker, *pair);
    } else if (frame.type == FrameType::Pair) {
        const char* why = desk ? "no grant for this key" : "no UDP relaying here";
        put_refusal(session.control(), {Fault::PairRefused, why});
        mark_due(session);
    }
    return true;
}

PairDesk::Asker Server::State::asker_of(const Session& session, const Granted& grant) const {
    const Tenant& tenant = session.tenant();
    return {session.id(), tenant.trust.tenant_id, session.node_id(),
            tenant.network_name(grant.network), grant.expires_at};
}

}  // namespace cvlan::relay
