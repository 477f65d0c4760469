// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node as RelayLinks sees it: an identity of tests/relay's tenant with one peer, a controller
// that signs grants, and a UDP socket in the place of the kernel's WireGuard. Everything of a node
// runs on one loop.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <map>
#include <set>

#include "daemons/agent/relay_links.h"
#include "tests/relay/test_tenant.h"

namespace cvlan::agent::testing {

using relay::test::key_of;
using relay::test::kNetwork1;
using relay::test::kTrustDomain;
using relay::test::node_uuid;
using relay::test::TestTenant;
namespace wire = model::wire;

inline const std::string kRelay1 = "0193d000-0000-7000-8000-000000000001";
inline const std::string kRelay2 = "0193d000-0000-7000-8000-000000000002";

// What stands on a device's port: datagrams come from and go to 127.0.0.1.
class DeviceSocket {
public:
    DeviceSocket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
        EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
        port_ = ntohs(at.sin_port);
    }
    uint16_t port() const { return port_; }
    void send(const Endpoint& to, std::string_view text) const {
        sockaddr_storage storage{};
        const socklen_t size = to.to_sockaddr(storage);
        EXPECT_EQ(sendto(fd_.get(), text.data(), text.size(), 0,
                         reinterpret_cast<const sockaddr*>(&storage), size),
                  static_cast<ssize_t>(text.size()));
    }
    // "<source> <text>" of the next one; empty: none waits.
    std::string receive() const {
        std::array<char, 2048> buffer;
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        const ssize_t got = recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 0) return "";
        const auto source = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&from), size);
        return source->text() + " " + std::string(buffer.data(), static_cast<size_t>(got));
    }

private:
    UniqueFd fd_;
    uint16_t port_ = 0;
};

inline model::MapRelay map_relay(const std::string& id, const std::string& name,
                                 const Endpoint& at) {
    model::MapRelay made;
    made.id = id;
    made.name = name;
    made.node_id = node_uuid(0);
    made.endpoints = {at};
    return made;
}

// Node `own` of the tenant, whose one peer is node `other`.
struct NodeWorld {
    NodeWorld(EventLoop& on, const Clock& now, const TestTenant& of, int own_number,
              int other_number, uint16_t listen_port)
        : loop(on),
          clock(now),
          tenant(of),
          own(own_number),
          other(other_number),
          port(listen_port) {
        RelaySeam seam;
        seam.on_relayed = [this](const PathKey& key, const RelayedPlaces& at) {
            EXPECT_EQ(key, peer());
            places = at;
        };
        seam.on_changed = [this] { ++changes; };
        seam.send_stun = [this](const std::string& from, const Endpoint& to, ByteView datagram) {
            EXPECT_EQ(from, device);
            binds.emplace_back(to, Bytes(datagram.begin(), datagram.end()));
            return true;
        };
        seam.probe = [this](const Endpoint& server) { probed.push_back(server); };
        seam.round_trip = [this](const Endpoint& server) {
            const auto found = round_trips.find(server);
            return found == round_trips.end() ? std::nullopt : std::optional(found->second);
        };
        links.emplace(loop, clock, RelayLinks::Options{}, std::move(seam));
    }

    PathKey peer() const { return {device, other_key}; }

    // A map with these relays; `home` is the peer's.
    void set_map(const std::vector<model::MapRelay>& relays, const std::string& home,
                 bool has_peer = true) {
        auto made = std::make_shared<model::NetworkMap>();
        made->tenant_id = tenant.id;
        made->node_id = node_uuid(own);
        for (const auto& one : relays) made->relays[one.id] = one;
        model::MapNetwork& network = made->networks[kNetwork1];
        network.id = kNetwork1;
        if (has_peer) {
            model::MapPeer& there = network.peers[node_uuid(other)];
            there.node_id = node_uuid(other);
            there.wireguard_key = other_key.text();
            there.relay_id = home;
        }
        map = std::move(made);
        links->set_members({member()});
    }
    RelayMember member() {
        RelayMember made;
        made.tenant_id = tenant.id;
        made.node_id = node_uuid(own);
        made.trust_domain = kTrustDomain;
        made.map = map;
        made.certificate_pem = certificate.cert_pem;
        made.credentials = [this] {
            return Credentials{
                {.ca_pem = tenant.ca.pem()}, certificate.cert_pem, SecretText(certificate.key_pem)};
        };
        made.call = [this](const Controller::Call& call, const Controller::Done& done) {
            if (!has_session) return false;
            calls.push_back(call.method + " " + call.target);
            if (loses_calls) return true;
            answering = loop.after(std::chrono::milliseconds(0), [this, done] { answer(done); });
            return true;
        };
        made.networks = {{kNetwork1, device, own_key, port}};
        made.folder = folder;
        return made;
    }
    void answer(const Controller::Done& done) {
        const auto signed_grant =
            model::decode<wire::SignedBytes>(tenant.sign(tenant.grant(own, own_key, clock.now())));
        http::Response response;
        response.body = encode(wire::RelayGrants{{*signed_grant}});
        done(response);
    }
    void need(bool pair) { links->set_needs({{peer(), true, pair}}); }

    EventLoop& loop;
    const Clock& clock;
    const TestTenant& tenant;
    const int own, other;
    const uint16_t port;
    wg::PublicKey own_key = key_of(static_cast<uint8_t>(own));
    wg::PublicKey other_key = key_of(static_cast<uint8_t>(other));
    const std::string device = "cv-test";
    const relay::test::IssuedCert certificate = tenant.node(own);
    std::shared_ptr<const model::NetworkMap> map;
    std::string folder;  // where grants are kept
    bool has_session = true;
    bool loses_calls = false;  // as a session that ends before the answer comes
    std::vector<std::string> calls;
    Timer answering;
    RelayedPlaces places;
    int changes = 0;
    std::deque<std::pair<Endpoint, Bytes>> binds;
    std::map<Endpoint, std::chrono::milliseconds> round_trips;
    std::vector<Endpoint> probed;
    std::optional<RelayLinks> links;
};

}  // namespace cvlan::agent::testing
