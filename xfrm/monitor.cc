// SPDX-License-Identifier: Apache-2.0
#include "xfrm/monitor.h"

#include <linux/netlink.h>
#include <linux/xfrm.h>

namespace cvlan::xfrm {

Result<Monitor> Monitor::open(const netlink::NetnsFd& netns) {
    auto monitor = netlink::Monitor::open(NETLINK_XFRM, netns,
                                          {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_SA,
                                           XFRMNLGRP_POLICY, XFRMNLGRP_REPORT, XFRMNLGRP_MAPPING});
    if (!monitor) return failed(monitor.error().while_doing("xfrm monitor"));
    return Monitor(std::move(*monitor));
}

Result<Monitor::Heard> Monitor::read(const std::function<void(const Event&)>& each) {
    bool unread = false;
    auto heard = monitor_.read([&](const netlink::Reply& message) {
        auto event = parse_event(message);
        if (!event) {
            unread = true;
        } else if (*event) {
            each(**event);
        }
    });
    if (heard && unread) heard->overrun = true;
    return heard;
}

}  // namespace cvlan::xfrm
