// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Transport that is the kernel: one libmnl socket.

#include <memory>

#include "base/unique_fd.h"
#include "netlink/netns.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

// A bound socket of `protocol`, made in `netns`, with extended acks on.
Result<std::unique_ptr<Transport>> open_transport(int protocol, const NetnsFd& netns);

// One datagram from a netlink socket, and who sent it; for Transport and Monitor. EAGAIN, EINTR
// and ENOBUFS are the caller's to sort out by Error::sys_errno.
Result<Transport::Datagram> receive_datagram(int fd, std::span<uint8_t> buffer, int flags);

}  // namespace cvlan::netlink
