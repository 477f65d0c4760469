// SPDX-License-Identifier: Apache-2.0
#pragma once

// Hears what the kernel announces of states and policies of one network namespace. As with
// netlink::Monitor: it neither waits nor retries, and after an overrun the caller observes anew.
// An acquire, an expiry and a change of mapping are told once and nowhere else; a lost acquire is
// told again when the larval state has gone and the next packet comes.

#include <functional>

#include "netlink/monitor.h"
#include "xfrm/event.h"

namespace cvlan::xfrm {

class Monitor {
public:
    static Result<Monitor> open(const netlink::NetnsFd& netns);

    int fd() const { return monitor_.fd(); }  // readable when read() has something
    using Heard = netlink::Monitor::Heard;
    // Takes what waits. A message that can not be read counts as an overrun.
    Result<Heard> read(const std::function<void(const Event&)>& each);
    uint64_t overruns() const { return monitor_.overruns(); }

private:
    explicit Monitor(netlink::Monitor monitor) : monitor_(std::move(monitor)) {}
    netlink::Monitor monitor_;
};

}  // namespace cvlan::xfrm
