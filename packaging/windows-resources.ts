import { NtExecutable, NtExecutableResource, Resource } from 'resedit';

const ICON = 3;
const RAW_DATA = 10;
const ICON_GROUP = 14;
const ENGLISH = { lang: 1033, codepage: 1200 };

/** What Windows shows about a program: in its properties, in the task manager, and when it asks for permission. */
export interface Shown {
  name: string;
  description: string;
  version: string;
  file: string;
  copyright: string;
}

/**
 * Adds a resource and replaces Node's name and icon. Drops Node's signature, which is valid only for the unchanged file.
 */
export function withResources(image: Buffer, resource: { name: string; content: Buffer }, shown: Shown): Buffer {
  const executable = NtExecutable.from(image, { ignoreCert: true });
  const resources = NtExecutableResource.from(executable);
  resources.entries = resources.entries.filter(({ type }) => type !== ICON && type !== ICON_GROUP);
  resources.entries.push({
    ...{ type: RAW_DATA, id: resource.name },
    ...ENGLISH,
    bin: new Uint8Array(resource.content).buffer,
  });
  const [info] = Resource.VersionInfo.fromEntries(resources.entries);
  if (info === undefined) throw new Error('Node for Windows has no version resource to put our name into');
  info.setFileVersion(`${shown.version}.0`);
  info.setProductVersion(`${shown.version}.0`);
  info.setStringValues(ENGLISH, {
    ...{ ProductName: shown.name, CompanyName: shown.name, InternalName: shown.name },
    ...{ FileDescription: shown.description, FileVersion: shown.version, ProductVersion: shown.version },
    ...{ OriginalFilename: shown.file, LegalCopyright: shown.copyright },
  });
  info.outputToResourceEntries(resources.entries);
  resources.outputResource(executable);
  return Buffer.from(executable.generate());
}
