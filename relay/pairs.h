// SPDX-License-Identifier: Apache-2.0
#pragma once

// UDP relaying, the part that decides: who wants to speak with whom, which port the two share, from
// where each has bound, and what the kernel is to forward for them (README.md, "A pair"). Packets
// pass it by. A pair outlives the sessions that asked for it: it lives by its binds, until the
// grant of either side ends. Loop thread only.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "relay/frame.h"
#include "relay/pair_host.h"
#include "relay/server.h"
#include "stun/message.h"

namespace cvlan::relay {

struct PairLimits {
    uint16_t first_port = 49152;
    uint16_t last_port = 50175;
    size_t a_tenant = 20'000;
};

struct PairStats {
    size_t pairs = 0;      // asked for by one side at least
    size_t forwarded = 0;  // that the kernel has of these, counted by family
    size_t adopted = 0;    // that it has since before, and that nobody has asked for yet
    uint64_t binds = 0;
    uint64_t binds_refused = 0;
    uint64_t binds_unproven = 0;  // got a nonce first
    uint64_t put = 0;
    uint64_t failed = 0;  // by the kernel
};

// The same for both sides, and in every life of the relay.
PairId pair_id(std::string_view tenant_id, const PairOf& pair);

class Pairs final : public PairDesk {
public:
    struct Hooks {
        // Frames for a session, by Server::tell().
        std::function<void(uint64_t session, ByteView frames)> tell;
        // Sockets for binds, by StunServer.
        std::function<Result<void>(uint16_t port)> open_port;
        std::function<void(uint16_t port)> close_port;
    };
    // `addresses` are the relay's as the world knows it, one a family at most.
    Pairs(const Clock& clock, PairHost& host, Hooks hooks, std::vector<Address> addresses,
          PairLimits limits = {});
    ~Pairs();

    void set_addresses(std::vector<Address> addresses) { addresses_ = std::move(addresses); }

    // What the kernel has been forwarding since an earlier life of the relay goes on, and is taken
    // over when its nodes ask again.
    Result<void> adopt();

    void pair(const Asker& asker, const PairOf& wanted) override;
    void unpair(const Asker& asker, const PairOf& pair) override;
    void granted(const Asker& asker, const Key& own) override;
    void trust_changed(std::string_view tenant_id, const TenantTrust* trust) override;

    // Of StunServer: the size of the answer, 0 for none.
    size_t bind(const stun::Message& request, const Endpoint& from, const Endpoint& to,
                std::span<uint8_t> answer);
    // Ends what is silent or out of time: to be called every few seconds.
    void sweep();
    PairStats stats() const;

private:
    struct Side;
    struct Pair;

    Pair* find(std::string_view tenant_id, const PairOf& pair);
    Pair* make(const Asker& asker, const PairOf& wanted);
    Result<uint16_t> take_port(const PairId& id, const std::string& tenant_id, const PairOf& pair);
    void hold_port(uint16_t port) { ++held_[port]; }
    void release_port(uint16_t port);
    void prove(Side& side);
    std::string nonce(const BindId& id, const Endpoint& from, int64_t slot) const;
    bool has_nonce(const stun::Message& request, const BindId& id, const Endpoint& from) const;
    void offer(const Pair& pair, const Side& side);
    void bound(Pair& pair, Side& side, const Endpoint& from, const Address& own);
    void forward(Pair& pair, Family family);
    void claim(Pair& pair, const Endpoint& place);
    void unbind(Pair& pair, Side& side, Family family);
    void stop(Pair& pair, Family family);
    void remove(const ForwardedPair& pair);
    void tell_ready(const Pair& pair, const Side& side, Family family);
    void end(Pair& pair, Unpaired reason, uint64_t but_not = 0);
    void tell_unpaired(uint64_t session, const PairOf& pair, Unpaired reason);
    std::optional<Unpaired> why_to_end(const Pair& pair) const;
    std::optional<ForwardedPair> take_adopted(const PairId& id, Family family);

    const Clock& clock_;
    PairHost& host_;
    Hooks hooks_;
    std::vector<Address> addresses_;
    PairLimits limits_;
    std::map<PairId, std::unique_ptr<Pair>> pairs_;
    std::map<BindId, std::pair<Pair*, size_t>> by_bind_;     // and which of its sides
    using Ports = std::map<uint16_t, Pair*>;                 // null until the pair is made
    std::map<std::pair<std::string, Key>, Ports> ports_of_;  // of a tenant's key
    std::map<uint16_t, size_t> held_;                        // pairs a port
    std::map<std::pair<uint16_t, Endpoint>, Pair*> places_;
    std::map<std::string, size_t, std::less<>> of_tenant_;
    std::vector<ForwardedPair> adopted_;
    Bytes nonce_key_;  // of this life
    BootTime adopted_until_{0};
    PairStats stats_;
};

}  // namespace cvlan::relay
