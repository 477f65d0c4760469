// SPDX-License-Identifier: Apache-2.0
#pragma once

// The structures of linux/xfrm.h that several messages share, to and from our types. Pure. What
// comes from the kernel is copied out of the message before it is looked at; values that can not be
// are Code::Malformed, what can not be said is Code::Invalid.

#include <linux/xfrm.h>

#include <span>

#include "base/result.h"
#include "netlink/attr_reader.h"
#include "xfrm/types.h"

namespace cvlan::xfrm {

// The most bits that the kernel's window has (net/xfrm/xfrm_user.c: verify_replay).
constexpr uint32_t kMaxWindow = 4096;

xfrm_address_t to_wire(const Address& address);
xfrm_lifetime_cfg to_wire(const Limits& limits);
xfrm_mark to_wire(const Mark& mark);
xfrm_usersa_id to_wire(const StateId& id);
Result<xfrm_selector> to_wire(const Selector& selector);
Result<xfrm_usersa_info> to_wire(const State& state);
Result<xfrm_userpolicy_info> to_wire(const Policy& policy);
Result<xfrm_user_tmpl> to_wire(const Template& wanted);

// `family` is AF_INET or AF_INET6.
Result<Address> from_wire(const xfrm_address_t& address, int family);
Result<Selector> from_wire(const xfrm_selector& selector);
Result<StateId> from_wire(const xfrm_usersa_id& id);
Result<State> from_wire(const xfrm_usersa_info& info);
Result<Policy> from_wire(const xfrm_userpolicy_info& info);
Result<Template> from_wire(const xfrm_user_tmpl& wanted);

}  // namespace cvlan::xfrm
