// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a controller makes for a relay.

#include "daemons/relay/enrolment.h"
#include "tests/enrolee/fake_controller.h"

namespace cvlan::relayd::test {

using enrolee::testing::kNetwork;
using enrolee::testing::kNode;  // the relay's
using enrolee::testing::kNow;
using enrolee::testing::kTenant;
using enrolee::testing::node_id;
using enrolee::testing::until;

class FakeController : public enrolee::testing::FakeController {
public:
    explicit FakeController(EventLoop& loop) : enrolee::testing::FakeController(loop, "") {}

    // This relay at 192.0.2.9, and whom it must not serve.
    wire::NodeMap map(int64_t revision, const std::vector<std::string>& barred = {}) const {
        wire::MapFragment own = fragment(node_id(0x99), wire::FragmentKind::Relay, revision);
        own.relay.emplace();
        own.relay->name = "r1";
        own.relay->node_id = kNode;
        own.relay->endpoints = {"192.0.2.9:443"};
        own.relay->stun_port = 3478;
        std::vector<wire::SignedBytes> fragments{issuer.maps.sign(encode(own))};
        for (const std::string& node : barred) fragments.push_back(bar(node, revision));
        return issuer.maps.full(revision, std::move(fragments));
    }
    wire::SignedBytes bar(const std::string& node, int64_t revision) const {
        wire::MapFragment one = fragment(node, wire::FragmentKind::Barred, revision);
        one.barred.emplace();
        one.barred->node_id = node;
        one.barred->until = kNow + std::chrono::hours(25);
        return issuer.maps.sign(encode(one));
    }

private:
    static wire::MapFragment fragment(const std::string& id, wire::FragmentKind kind,
                                      int64_t revision) {
        wire::MapFragment made;
        made.scope = kTenant;
        made.id = id;
        made.kind = kind;
        made.revision = revision;
        return made;
    }
};

// An identity of this controller's tenant, as enrolment leaves it.
inline Identity enrolled_by(const FakeController& controller) {
    return enrolee::testing::enrolled_identity(controller.issuer, controller.url());
}

}  // namespace cvlan::relayd::test
