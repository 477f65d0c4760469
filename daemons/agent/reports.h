// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a node tells its controller about itself: endpoints, inventory and the paths to its peers,
// each when it differs from what was taken last, at most every few seconds. Loop thread only.

#include <string>

#include "base/clock.h"
#include "daemons/agent/controller.h"
#include "model/wire.h"

namespace cvlan::agent {

class Reports {
public:
    explicit Reports(const Clock& clock) : clock_(clock) {}

    void set_endpoints(const model::wire::EndpointReport& report) {
        endpoints_.wanted = encode(report);
    }
    void set_inventory(const model::wire::Inventory& inventory) {
        inventory_.wanted = encode(inventory);
    }
    // Round trips alone are told anew every half a minute, and where they are quite others; what
    // was carried, every five minutes, and where it is not little.
    void set_health(model::wire::HealthReport report);
    // A new session: nothing is under way, all is told again.
    void begin() {
        for (Report* report : {&endpoints_, &inventory_, &health_}) {
            report->taken.clear();
            report->is_under_way = false;
            report->not_before = BootTime(0);
        }
        takes_traffic_ = true;
    }
    // The connection is a new one: the address the controller sees may be another.
    void forget() { endpoints_.taken.clear(); }
    // Sends what is due. Call it while the session stands.
    void push(Session& session);

private:
    struct Report {
        const char* target;
        std::string wanted{};
        std::string taken{};
        bool is_under_way = false;
        BootTime not_before{};
    };
    void push(Session& session, Report& report);
    void refused(const Report& report);

    const Clock& clock_;
    Report endpoints_{"/api/v1/node/endpoints"};
    Report inventory_{"/api/v1/node/inventory"};
    Report health_{"/api/v1/node/health"};
    model::wire::HealthReport health_wanted_;
    BootTime health_at_{};
    bool takes_traffic_ = true;  // an older controller refuses a report that has it
};

}  // namespace cvlan::agent
