// SPDX-License-Identifier: Apache-2.0
#pragma once

// An entry of the audit as a line of an export.

#include <string>

#include "model/audit.h"
#include "model/wire.h"

namespace cvlan::model {

wire::AuditEntry to_wire(const AuditEntry& entry);
// One JSON object and a newline.
std::string audit_ndjson(const AuditEntry& entry);
// RFC 4180, with CRLF. A cell that a spreadsheet would take for a formula begins with an
// apostrophe.
std::string audit_csv_header();
std::string audit_csv(const AuditEntry& entry);

}  // namespace cvlan::model
