-- Orthanc: every CR and DX film that comes goes on to LungLens; what LungLens sends back stays here.
local films = {
  ['1.2.840.10008.5.1.4.1.1.1'] = true, -- Computed Radiography
  ['1.2.840.10008.5.1.4.1.1.1.1'] = true -- Digital X-Ray, For Presentation
}

function OnStoredInstance(instance, tags, metadata, origin)
  if origin['RemoteAet'] ~= 'LUNGLENS' and films[metadata['SopClassUid']] then
    SendToModality(instance, 'lunglens')
  end
end
