// Stands in for node's own modules in the browser. Nothing here is ever called.
export default {};
export class Readable {}
export class Transform {}
