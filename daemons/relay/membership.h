// SPDX-License-Identifier: Apache-2.0
#pragma once

// A relay in one tenant at run time: asks the controller for its map, which says who is barred and
// where the world finds this relay, and renews the certificate. What it last heard holds while the
// controller is away. Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/relay/enrolment.h"
#include "enrolee/renewal.h"
#include "enrolee/session.h"
#include "enrolee/signed_map.h"
#include "http/tls.h"
#include "model/relay_map.h"
#include "relay/grant.h"

namespace cvlan::relayd {

class Membership {
public:
    // `on_change`: trust(), tls() or map() is another.
    Membership(EventLoop& loop, const Clock& clock, const StateDir& dir, Identity identity,
               std::function<void()> on_change);

    // The map of the disk, if there is a good one; then the controller's, for ever.
    void start();

    const std::string& tenant_id() const { return identity_.kept.tenant_id; }
    std::string server_name() const { return identity_.server_name(); }
    // What sessions of this tenant are held against. None before the first map.
    std::optional<relay::TenantTrust> trust() const;
    http::TlsServerOptions tls() const;
    const std::optional<model::RelayMap>& map() const { return map_; }
    // Of the tenant's relays, this one; nullptr where the map does not have it.
    const model::MapRelay* own_relay() const;
    bool is_reached() const { return is_reached_; }
    // The controller knows it no more: no session of this tenant is taken.
    bool is_refused() const { return is_refused_; }

private:
    void open_session();
    bool took(const wire::NodeMap& answer);
    void build();
    void reached();
    void failed_with(const enrolee::Refusal& refusal);
    void renewed();

    EventLoop& loop_;
    const StateDir& dir_;
    Identity identity_;
    std::function<void()> on_change_;
    enrolee::SignedMap signed_;
    std::optional<model::RelayMap> map_;
    enrolee::Renewal renewal_;
    std::unique_ptr<enrolee::Session> session_;
    std::unique_ptr<enrolee::Session> ended_;  // it is what calls us
    Timer burial_;
    bool is_reached_ = false;
    bool is_refused_ = false;
    bool wants_full_ = true;  // of this program's start: it may understand more than the last one
    std::string trouble_;
};

}  // namespace cvlan::relayd
