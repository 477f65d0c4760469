// SPDX-License-Identifier: Apache-2.0
// What is left of a simulation: its summary, its raw samples, its nodes' identities.
#include <fstream>

#include "base/bytes.h"
#include "daemons/sim/fleet.h"

namespace cvlan::sim {

namespace {

// As a JSON string.
std::string quoted(const std::string& text) {
    std::string made = "\"";
    for (char c : printable(text)) {
        if (c == '"' || c == '\\') made += '\\';
        made += c;
    }
    return made + "\"";
}

struct Named {
    const char* name;
    const Samples& samples;
};

std::vector<Named> all_of(const Measures& m) {
    return {{"knock", m.knock}, {"enrol", m.enrol},   {"connect", m.connect},
            {"poll", m.poll},   {"report", m.report}, {"delta", m.delta},
            {"renew", m.renew}, {"back", m.back},     {"all_back", m.all_back}};
}

}  // namespace

std::string Fleet::summary() const {
    const Measures& m = measures_;
    std::string failures, samples;
    for (const auto& [why, count] : m.failures)
        failures += fmt::format("{}{}:{}", failures.empty() ? "" : ",", quoted(why), count);
    for (const Named& one : all_of(m))
        samples += fmt::format(R"("{}":{},)", one.name, one.samples.summary());
    return fmt::format(
        R"({{"nodes":{},"refused":{},"sessions":{},"most_sessions":{},"drilled":{},"enrol_s":{:.3f},)"
        R"("connect_s":{:.3f},"acted_s":{:.3f},{}"polls_late":{},"full_maps":{},"deltas":{},)"
        R"("unchanged":{},"map_bytes":{},"failures":{{{}}}}})",
        nodes_.size(), refused_, reached_, most_reached_, is_drilled_, enrol_s_, connect_s_, act_s_,
        samples, m.polls_late, m.full_maps, m.deltas, m.unchanged, m.map_bytes, failures);
}

Result<void> Fleet::save() const {
    if (!plan_.samples_path.empty()) {
        std::ofstream file(plan_.samples_path);
        const char* between = "{";
        for (const Named& one : all_of(measures_)) {
            file << between << '"' << one.name << "\":" << one.samples.raw();
            between = ",\n";
        }
        file << "}\n";
        if (!file.flush()) return fail(Code::Internal, "{}: not written", plan_.samples_path);
    }
    if (plan_.state_path.empty()) return {};
    std::vector<const Identity*> identities;
    for (const auto& node : nodes_)
        if (node->identity()) identities.push_back(&*node->identity());
    return save_identities(plan_.state_path, identities);
}

}  // namespace cvlan::sim
