// SPDX-License-Identifier: Apache-2.0
#pragma once

// A UDP port of ours, mapped by the gateway's UPnP (UPnP IGD 1 and 2, by libminiupnpc). Calls block
// for seconds: they are for a worker. It parses XML that anybody on the link may send, so it is
// used where an administrator switched it on, and talks to the gateway's own address alone.

#include <chrono>
#include <cstdint>
#include <string>

#include "base/ip.h"
#include "base/result.h"

namespace cvlan::reach {

struct UpnpRequest {
    Address gateway{};
    Address own{};
    uint16_t port = 0;  // the internal one
    uint16_t suggested_port = 0;
    std::chrono::seconds lifetime{7200};
};

struct UpnpMapping {
    Endpoint external{};
    std::chrono::seconds lifetime{};  // 0: the gateway keeps it for ever (error 725)
    std::string control_url{};
    std::string service{};
    bool operator==(const UpnpMapping&) const = default;
};

// Finds the gateway by SSDP (two seconds where there is none) and has it map. Of a port that
// another machine has, the next are tried. No gateway is Code::NotFound, its refusal Code::Denied.
Result<UpnpMapping> upnp_map(const UpnpRequest& request);
// The same of a gateway whose description is at `description_url`, which must be at its address.
Result<UpnpMapping> upnp_map_at(const std::string& description_url, const UpnpRequest& request);
Result<void> upnp_unmap(const UpnpMapping& mapping);

}  // namespace cvlan::reach
