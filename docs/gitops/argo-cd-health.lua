-- Health of a TeleportProvisionToken for Argo CD; it says what kstatus and Flux say.
local health = {status = "Progressing", message = "the operator has not looked at this object yet"}
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
  for _, condition in ipairs((obj.status or {}).conditions or {}) do
    if condition.type == "DeletionBlocked" and condition.status == "True" then
      health.status, health.message = "Degraded", condition.message
    end
  end
  return health
end
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not looked at the last change yet"
  return health
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local function holds(type)
  return found[type] ~= nil and found[type].status == "True"
end
if holds("Stalled") then
  health.status, health.message = "Degraded", found.Stalled.message
elseif holds("Paused") then
  health.status, health.message = "Suspended", found.Paused.message
elseif holds("Reconciling") then
  health.message = found.Reconciling.message
elseif holds("Ready") then
  health.status, health.message = "Healthy", found.Ready.message
elseif found.Ready ~= nil then
  health.message = found.Ready.message
end
return health
