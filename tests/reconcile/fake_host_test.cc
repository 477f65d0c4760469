// SPDX-License-Identifier: Apache-2.0
#include "tests/reconcile/host_contract.h"

namespace cvlan::reconcile {
namespace {

using tests::FakeHost;

class MadeFake {
public:
    void set_up() {}
    Host& host() { return host_; }
    void add_foreign_link(const std::string& name) {
        host_.devices[name] = {.kind = "dummy"};
        foreign_ = name;
    }
    std::string foreign_state() {
        const auto& link = host_.devices.at(foreign_);
        return fmt::format("{} {} {} {}", link.alias, link.up, link.peers.size(),
                           link.addresses.size());
    }
    void add_foreign_rule(uint32_t priority, uint32_t table) {
        host_.rules.push_back({{.priority = priority, .table = table}, 4});
    }
    void add_foreign_route(uint32_t table, const std::string& destination) {
        host_.routes.push_back({{.table = table, .destination = prefix(destination)}, 4});
    }
    void add_foreign_xfrm(const std::string& name, uint32_t if_id) {
        host_.devices[name] = {.kind = "xfrm", .if_id = if_id};
    }
    void remove_link(const std::string& name) { host_.remove_link(name); }
    void rename_link(const std::string& from, const std::string& to) {
        set_down(from);
        host_.devices[to] = std::move(host_.devices.extract(from).mapped());
    }
    void set_down(const std::string& name) { host_.go_down(name); }
    void hold_port(uint16_t port) { host_.foreign_ports.insert(port); }

private:
    FakeHost host_;
    std::string foreign_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HostContract, MadeFake);

}  // namespace
}  // namespace cvlan::reconcile
